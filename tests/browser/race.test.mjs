// A race from the first key to the last step, on the processor.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { address, control, exported, isWhole, lines, open, poll, press, reads, ready, settings, state, train, unpacked, until } from './harness.mjs';

const NO_GPU = 'No GPU access in this browser. Training runs on the processor: small presets only.';

/// Seconds, as the page writes a span of time: `9.5 s`, `1 m 40 s`.
const seconds = (words) =>
  [...words.matchAll(/([\d.]+) ([hms])\b/g)].reduce((sum, [, number, unit]) => sum + number * { h: 3600, m: 60, s: 1 }[unit], 0);

/// Both curves, by who drew them.
const curves = ({ series }) => Object.fromEntries(series.map(({ objective, points }) => [objective, points]));

test('without a GPU the page says so, and one key trains Markov floor to its end', async (t) => {
  const page = await open();
  await until(page, ({ badge }) => badge === 'Processor');
  await reads(page, NO_GPU);
  await ready(page, 'button', 'Preset: Markov floor');
  const told = await reads(page, /^≈ .* FLOPs/);
  await reads(page, /^Crossover predicted near epoch .* \(extrapolated, ×3 either way\)$/);
  // Measured, not tested: what else this machine does decides.
  const predicted = seconds(told.split('·')[0]);

  const began = Date.now();
  const early = await train(page);
  assert.equal(early.run.state, 'running');
  const two = await until(page, (now) => Object.values(curves(now)).filter((points) => points.length > 1).length === 2);
  const more = await until(page, (now) => Object.entries(curves(two)).every(([name, points]) => curves(now)[name].length > points.length));

  // Held, it stands still; then it takes the very next step.
  const asked = Date.now();
  await page.keyboard.press('KeyK');
  const held = await until(page, ({ run }) => run.state === 'paused');
  const wait = Date.now() - asked;
  await page.waitForTimeout(1000);
  assert.equal((await state(page)).run.step, held.run.step);
  await reads(page, /^Paused · step/);
  await page.keyboard.press('KeyK');
  await until(page, ({ run }) => run.state === 'running' && run.step > held.run.step);
  const paused = Date.now() - asked;

  const trained = await until(page, ({ run }) => run.step === run.steps, { timeout: 400_000 });
  const measured = (Date.now() - began - paused) / 1000;
  t.diagnostic(`predicted ${predicted.toFixed(1)} s, measured ${measured.toFixed(1)} s; Pause acted within ${wait} ms`);
  assert.match(await page.title(), /^Crossover$|^(99|100) % · Crossover$/);
  const done = await until(page, ({ run }) => run.state === 'done', { timeout: 120_000 });
  assert.match(done.status, /(above AR's best|not yet significant|Diffusion wins)/);

  // At every evaluation both have seen the same number of tokens.
  const { ar, masked } = curves(done);
  assert.ok(ar.length >= 20 && more.run.step < trained.run.step, `${ar.length}`);
  assert.deepEqual(ar.map(({ step, tokens }) => [step, tokens]), masked.map(({ step, tokens }) => [step, tokens]));
  const record = lines(unpacked(await exported(page, 'Run folder (.zip)'))['metrics.jsonl']);
  isWhole(record);
  assert.equal(record.length, 2 * done.run.steps);
  page.fine();
});

/// What was copied last, once it is there; then the clipboard is empty again.
async function copied(page) {
  const read = () => page.evaluate(() => navigator.clipboard.readText());
  const text = await poll(read, (text) => text !== '', () => 'nothing was copied');
  await page.evaluate(() => navigator.clipboard.writeText(''));
  return text;
}

test('a link restores settings and starts nothing', async () => {
  const permissions = ['clipboard-read', 'clipboard-write'];
  const page = await open({ permissions });
  await ready(page, 'button', 'Preset: Markov floor');
  await press(page, 'button', 'Halve the data');
  await press(page, 'button', 'Give AR dropout 0.3');
  await press(page, 'button', 'Block size 1 is AR');
  // The settings have grown: what is below them has moved.
  await page.locator('#mirror input[aria-label="Block size"]').first().waitFor({ state: 'attached' });
  await press(page, 'button', 'Copy link to these settings');
  const link = await copied(page);
  assert.ok(link.startsWith(`${await address()}#v=1&`), link);
  assert.ok(link.length <= 2000, `${link.length}`);

  const other = await open({ permissions, query: `?test${link.slice(link.indexOf('#'))}` });
  await until(other, ({ badge }) => badge !== '');
  await ready(other, 'button', 'Train both');
  // What it would cost is known once the settings have been worked through.
  await reads(other, /^≈ .* FLOPs/);
  const values = (page) => page.locator('#mirror input').evaluateAll((all) => all.map((one) => [one.getAttribute('aria-label'), one.getAttribute('aria-valuetext')]));
  const [here, there] = [await values(page), await values(other)];
  assert.ok(here.length > 4);
  assert.deepEqual(there, here);
  await press(other, 'button', 'Copy link to these settings');
  assert.equal(await copied(other), link);
  const { run, status } = await state(other);
  assert.deepEqual([run, status], [null, '']);
});

test('a model too big for this device is told before it starts, with what would fit', async () => {
  const page = await open({
    query: settings({ corpus: 'tales', width: 384, layers: 8, heads: 8, context: 256, batch: 128 }),
  });
  await until(page, ({ badge }) => badge !== '');
  const told = await reads(page, /^Needs about \d+\.\d GB; there is \d+\.\d GB\. Batch \d+ should fit\.$/);
  const [, batch] = told.match(/Batch (\d+) should/);
  assert.equal(await control(page, 'button', 'Train both').isEnabled(), false);
  await page.keyboard.press('Control+Enter');
  await page.waitForTimeout(500);
  assert.equal((await state(page)).run, null);
  await press(page, 'button', `Use batch ${batch}`);
  await ready(page, 'button', 'Train both');
});

test('a link of a newer kind is refused in words', async () => {
  const page = await open({ query: '?test#v=3&epochs=5' });
  await reads(page, 'Made by a newer Crossover (3; this reads 1).');
  assert.equal((await state(page)).run, null);
});
