// The first seconds: something to see before anything has loaded, and what is said where the rest can't come.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { CANVAS, DIST, address, drawn, open, picture, serve, state } from './harness.mjs';

const UNABLE = "This browser can't run the playground. Above is a recorded run; the command line works everywhere.";
const stopped = /^Download stopped at \d+\.\d of \d+\.\d MB\.$/;

const mark = (page, name) => page.evaluate((name) => performance.getEntriesByName(name)[0]?.startTime, name);
const step = (page) => page.evaluate(() => window.crossoverRecorded.step);
const problem = (page) => page.locator('#problem');

/// Waits until the recording has been played to its end.
const played = (page) => page.locator('#replay').waitFor({ timeout: 20_000 });

test('a recorded cell is written within 1.2 s, before any program has loaded', async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const page = await open({
    wait: false,
    before: (page) =>
      page.route('**/*.wasm', async (route) => {
        await held;
        await route.continue();
      }),
  });
  await page.waitForFunction(() => performance.getEntriesByName('cell').length > 0);
  assert.ok((await mark(page, 'cell')) <= 1200, `${await mark(page, 'cell')} ms`);
  await picture(page, 'first-1280-light');
  release();
  await drawn(page);
  page.fine();
});

test('the canvas takes over in time, and nothing leaves this origin', async () => {
  const page = await open();
  assert.ok((await mark(page, 'canvas')) <= CANVAS);
  assert.equal(await page.locator('#first').isVisible(), false);
  assert.notEqual((await state(page)).screen, '');
  page.fine();
});

test('without WebAssembly the recording plays, and the page says so', async () => {
  const page = await open({
    wait: false,
    size: [390, 844],
    dark: true,
    before: (page) => page.addInitScript(() => delete window.WebAssembly),
  });
  await problem(page).getByText(UNABLE, { exact: true }).waitFor();
  const began = await step(page);
  await played(page);
  assert.ok(began < (await step(page)));
  await picture(page, 'unable-390-dark');
});

test('without WebGL2 the page says the same', async () => {
  const page = await open({
    wait: false,
    before: (page) =>
      page.addInitScript(() => {
        HTMLCanvasElement.prototype.getContext = () => null;
      }),
  });
  await problem(page).getByText(UNABLE, { exact: true }).waitFor();
});

test('a broken download says how far it came, and can be tried again', async () => {
  const page = await open({
    wait: false,
    before: (page) =>
      page.route('**/app-*.wasm', async (route) => {
        const response = await route.fetch();
        const half = (await response.body()).subarray(0, 1_400_000);
        await route.fulfill({ status: 200, contentType: 'application/wasm', body: half });
      }),
  });
  await page.getByRole('button', { name: 'Retry' }).waitFor();
  const text = await problem(page).textContent();
  assert.match(text, stopped);
  assert.ok(text.startsWith('Download stopped at 1.4 of '), text);
  await played(page);
  await picture(page, 'broken-1280-light');
  await page.unroute('**/app-*.wasm');
  await page.getByRole('button', { name: 'Retry' }).click();
  await drawn(page);
});

test('a download that never began says so too', async () => {
  const page = await open({ wait: false, before: (page) => page.route('**/*.wasm', (route) => route.abort()) });
  await page.getByRole('button', { name: 'Retry' }).waitFor();
  assert.match(await problem(page).textContent(), /^Download stopped at 0\.0 of/);
});

test('with reduced motion nothing moves unasked', async () => {
  const page = await open({
    wait: false,
    reduced: true,
    before: (page) => page.route('**/*.wasm', (route) => route.abort()),
  });
  const began = await step(page);
  await page.waitForTimeout(1500);
  assert.ok(began > 0);
  assert.equal(await step(page), began);
  assert.equal(await mark(page, 'cell'), undefined);
  await page.getByRole('button', { name: 'Play again' }).click();
  await page.waitForFunction(() => performance.getEntriesByName('cell').length > 0);
});

test('a phone has nothing to scroll sideways, and room for a thumb', async () => {
  const page = await open({
    wait: false,
    size: [360, 740],
    touch: true,
    before: (page) => page.route('**/*.wasm', (route) => route.abort()),
  });
  await page.getByRole('button', { name: 'Retry' }).waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `${width}`);
  for (const button of await page.locator('#first button:visible').all()) {
    assert.ok((await button.boundingBox()).height >= 44);
  }
  await picture(page, 'first-360-light');
});

test('the text of the recording can be read without the canvas', async () => {
  const page = await open({ wait: false, before: (page) => page.route('**/*.wasm', (route) => route.abort()) });
  const text = await page.locator('#text').textContent();
  assert.ok(text.length > 0 && !text.includes('\ufffd'));
});

test('the site works from a folder of its host', async () => {
  const root = mkdtempSync(join(tmpdir(), 'crossover-site-'));
  try {
    cpSync(DIST, join(root, 'some/where'), { recursive: true });
    cpSync(join(DIST, 'index.html'), join(root, 'index.html'));
    const { url } = await serve(root);
    const page = await open({ url: `${url}some/where` });
    page.fine();
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('the second visit needs no server', async () => {
  const { url, stop } = await serve();
  const page = await open({ url });
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await stop();
  await page.reload();
  await drawn(page);
  // Every file is there, also those that were not asked for again.
  const missing = await page.evaluate(async () => {
    const { worker, bundled } = window.crossoverAssets;
    const answers = await Promise.all([worker, `${bundled}trace.jsonl`].map((url) => fetch(url)));
    return answers.filter((answer) => !answer.ok).map((answer) => answer.url);
  });
  assert.deepEqual(missing, []);
});

test('what an earlier version kept is dropped', async () => {
  const page = await open({
    before: (page) => page.addInitScript(() => caches.open('crossover-0000000000')),
  });
  await page.waitForFunction(
    async () => {
      const names = await caches.keys();
      return navigator.serviceWorker.controller && names.length === 1 && names[0] !== 'crossover-0000000000';
    },
  );
});

test('the address of the site is on loopback', async () => {
  assert.match(await address(), /^http:\/\/127\.0\.0\.1:\d+\/$/);
});
