// Everything by keyboard, and everything by name.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SLOW, control, focused, open, press, state, until } from './harness.mjs';

const CONTROLS = '#mirror button, #mirror input, #mirror textarea, #mirror [role=tab]';

/// The element that mirrors what has the focus.
const where = (page) => page.evaluate(() => window.where());

/// Waits until something in the canvas has the focus.
const entered = (page) =>
  page.waitForFunction(() => document.getElementById('app').hasAttribute('aria-activedescendant'));

/// What has the focus on the page.
const holder = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);

test('Tab reaches every control and then leaves the canvas; Shift+Tab goes back', async () => {
  const page = await open();
  await page.evaluate(() => {
    window.where = () => {
      const canvas = document.getElementById('app');
      return (document.activeElement.id === 'after' && 'after') || canvas.getAttribute('aria-activedescendant');
    };
  });
  // The last control to appear does once the speed is measured.
  await control(page, 'button', 'What is the predicted crossover?').waitFor({ state: 'attached' });
  await page.locator('#before').focus();
  const reached = new Set();
  for (let pressed = 0; pressed < 300; pressed += 1) {
    const before = await where(page);
    await page.keyboard.press('Tab');
    const moved = page.waitForFunction((before) => window.where() !== before, before, { timeout: 3000 });
    await moved.catch(() => {});
    if ((await holder(page)) === 'after') break;
    reached.add(await where(page));
  }
  assert.equal(await holder(page), 'after', `after ${reached.size} controls`);
  const enabled = await page.locator(CONTROLS).evaluateAll((all) =>
    all.filter((element) => !element.disabled && element.ariaDisabled !== 'true').map((element) => element.id),
  );
  const missed = enabled.filter((id) => !reached.has(id));
  const named = await page.evaluate((ids) => ids.map((id) => document.getElementById(id)?.outerHTML), missed);
  assert.deepEqual(named, []);
  await page.keyboard.press('Shift+Tab');
  await entered(page);
  assert.notEqual(await focused(page), null);
  assert.notEqual(await holder(page), 'after');
});

test('F6 moves between the page and the canvas', async () => {
  const page = await open();
  await page.locator('#before').focus();
  await page.keyboard.press('F6');
  await entered(page);
  await page.keyboard.press('F6');
  assert.equal(await holder(page), 'before');
});

test('every control has a name on every screen', async () => {
  const page = await open();
  for (const key of ['1', '2', '3', '4', '5']) {
    await page.keyboard.press(`Digit${key}`);
    await page.waitForTimeout(500);
    const nameless = await page.locator(CONTROLS).evaluateAll((all) =>
      all
        .filter((element) => !(element.getAttribute('aria-label') || element.textContent || '').trim())
        .map((element) => element.outerHTML),
    );
    assert.deepEqual(nameless, [], `screen ${key}`);
  }
});

test('a screen reader can press what it finds', async () => {
  const page = await open();
  const { screen } = await state(page);
  const other = screen === 'Runs' ? 'Race' : 'Runs';
  await control(page, 'tab', other).evaluate((element) => element.click());
  await until(page, (now) => now.screen !== screen);
});

test('what goes on is said at most once in five seconds', async () => {
  const page = await open();
  await page.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(performance.now())).observe(document.getElementById('said'), {
      childList: true,
      characterData: true,
      subtree: true,
    });
    let count = 0;
    setInterval(() => crossoverPage.say(`message ${(count += 1)}`), 50);
  });
  await page.waitForTimeout(11_000);
  const said = await page.evaluate(() => window.said);
  assert.ok(said.length >= 2, `${said}`);
  said.slice(1).forEach((at, index) => assert.ok(at - said[index] >= 4990, `${said}`));
});

test('a lost drawing context is drawn anew, with everything as it was', async () => {
  const page = await open();
  await press(page, 'tab', 'Runs');
  await until(page, (now) => now.screen === 'Runs');
  const frames = (await state(page)).counters.frames;
  await page.evaluate(() => {
    const canvas = document.getElementById('app');
    window.lost = canvas;
    canvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext();
  });
  await page.waitForFunction(() => document.getElementById('app') !== window.lost, null, { timeout: 2000 * SLOW });
  await page.mouse.move(300, 300);
  const after = await until(page, (now) => now.counters.frames > frames + 2, { timeout: 2000 * SLOW });
  assert.equal(after.screen, 'Runs');
});

test('when the page stops it says so, and offers to load again', async () => {
  const page = await open();
  await page.evaluate(() => window.crossover.panicPage());
  await page.getByRole('button', { name: 'Reload' }).waitFor();
  assert.match(await page.locator('#problem').textContent(), /^The page stopped\.( Run saved at [\d,]+\.)?$/);
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.waitForFunction(() => performance.getEntriesByName('canvas').length > 0);
});
