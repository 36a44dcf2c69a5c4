// A picture of each screen, light and dark, on a desk and on a phone. They are for people to look at.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open, picture, state } from './harness.mjs';

const SIZES = [
  [1280, 800],
  [390, 844],
];

for (const [width, height] of SIZES) {
  test(`every screen at ${width}x${height}`, async () => {
    const page = await open({ size: [width, height], touch: width < 720 });
    const seen = new Set();
    for (const dark of [false, true]) {
      await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
      for (const key of ['1', '2', '3', '4', '5']) {
        await page.keyboard.press(`Digit${key}`);
        await page.waitForTimeout(700);
        const { screen } = await state(page);
        seen.add(screen);
        await picture(page, `${screen.toLowerCase()}-${width}-${dark ? 'dark' : 'light'}`);
      }
    }
    assert.equal(seen.size, 5, [...seen].join());
    const scroll = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(scroll <= width, `${scroll}`);
  });
}
