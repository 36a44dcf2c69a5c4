// A picture of each screen, light and dark, on a desk and on a phone. They are for people to look at.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { go, open, picture } from './harness.mjs';

const SIZES = [
  [1280, 800],
  [390, 844],
];

for (const [width, height] of SIZES) {
  test(`every screen at ${width}x${height}`, async () => {
    const page = await open({ size: [width, height], touch: width < 720 });
    for (const dark of [false, true]) {
      await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
      for (const screen of ['Race', 'Denoise', 'Inspect', 'Runs', 'Device']) {
        await go(page, screen);
        // What is asked of the worker is there by then.
        await page.waitForTimeout(700);
        await picture(page, `${screen.toLowerCase()}-${width}-${dark ? 'dark' : 'light'}`);
      }
    }
    const scroll = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(scroll <= width, `${scroll}`);
  });
}
