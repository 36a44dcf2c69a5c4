// A phone.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { control, open, until } from './harness.mjs';

const [WIDTH, HEIGHT] = [360, 740];

test('on a phone nothing scrolls sideways, what can be pressed has room for a thumb, and the prompt can be typed', async () => {
  const page = await open({ size: [WIDTH, HEIGHT], touch: true });
  await until(page, ({ badge }) => badge !== '');
  for (const screen of ['Race', 'Inspect', 'Runs', 'Device', 'Denoise']) {
    await page.touchscreen.tap(...middle(await control(page, 'tab', screen).boundingBox()));
    await until(page, (now) => now.screen === screen);
    await page.waitForTimeout(500);
    const scroll = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(scroll <= WIDTH, `${screen}: ${scroll}`);
    const small = await page.locator('#mirror button, #mirror [role=tab]').evaluateAll((all, [width, height]) => {
      const shown = ({ left, right, top, bottom }) => left >= 0 && right <= width && top >= 0 && bottom <= height;
      const places = all.map((one) => [one.textContent || one.ariaLabel, one.getBoundingClientRect()]);
      return places.filter(([, place]) => shown(place) && place.height < 44).map(([name, { height }]) => `${name}: ${height}`);
    }, [WIDTH, HEIGHT]);
    assert.deepEqual(small, [], screen);
  }
  await page.touchscreen.tap(...middle(await control(page, 'textbox', 'Prompt').boundingBox()));
  await page.keyboard.type('abc');
  await page.waitForFunction(() => [...document.querySelectorAll('#mirror input')].some(({ ariaLabel, value }) => ariaLabel.startsWith('Prompt') && value === 'abc'));
  page.fine();
});

const middle = ({ x, y, width, height }) => [x + width / 2, y + height / 2];
