// What breaks, and what it costs.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SLOW, control, drawn, exported, go, isWhole, lines, open, press, reads, ready, saying, settings, state, train, unpacked, until, visit } from './harness.mjs';

/// A race that outlasts its test.
const LONG = { epochs: 1000 };

const number = (digits) => Number(digits.replaceAll(',', ''));
const fault = (page, name) => page.evaluate((name) => window.crossover[name](), name);
/// Waits until the run has done more steps than it had done now.
const goesOn = async (page) => {
  const { run } = await state(page);
  return until(page, (now) => now.run?.state === 'running' && now.run.step > run.step + 2);
};
/// Waits until there is something to come back to.
const saved = (page) => until(page, ({ run }) => run.saved > 0);
const increases = (points) => points.slice(1).every(({ step }, index) => step > points[index].step);

test('a reload in the middle of a run offers to carry it on, and costs ten seconds at most', async (t) => {
  const page = await open({ query: settings(LONG) });
  const began = Date.now();
  await train(page);
  await saved(page);
  await page.waitForTimeout(5000);
  const before = await state(page);
  const rate = before.run.step / (Date.now() - began);
  await page.reload();
  await drawn(page);
  const told = await reads(page, /^The run stopped at step [\d,]+ when this page closed\.$/);
  assert.equal((await state(page)).run, null);
  await press(page, 'button', 'Resume');
  const after = await until(page, ({ run }) => run !== null);
  const lost = (before.run.step - after.run.saved) / rate / 1000;
  t.diagnostic(`${lost.toFixed(1)} s lost`);
  assert.ok(lost <= 10 * SLOW, `${lost} s`);
  assert.equal(number(told.match(/[\d,]+/)[0]), after.run.saved);
  await goesOn(page);
  page.fine();
});

test('a lost device, a lost drawing context, a panic and a silent end cost a few steps, and no step is done twice', async () => {
  const page = await open({ query: settings(LONG, 'test&silence=4') });
  await train(page);
  for (const [name, pattern] of [
    ['loseDevice', /^GPU lost at step ([\d,]+)\. Resumed from ([\d,]+) \(try 1 of 3\)\.$/],
    ['panic', /^Trainer stopped at step ([\d,]+)\. Restarted from ([\d,]+)\.$/],
    ['terminate', /^Trainer stopped at step ([\d,]+)\. Restarted from ([\d,]+)\.$/],
  ]) {
    await saved(page);
    const { run } = await state(page);
    await fault(page, name);
    if (name === 'panic') {
      const asked = Date.now();
      await go(page, 'Device');
      assert.ok(Date.now() - asked <= 1000 * SLOW, 'the page answers');
      await go(page, 'Race');
    }
    const [, at, from] = (await reads(page, pattern)).match(pattern).map(number);
    assert.ok(at >= run.step && from <= at && from > 0, `${name}: at ${at}, from ${from}`);
    await until(page, (now) => now.run.step > at + 2);
    await press(page, 'button', 'Dismiss');
    await saying(page, pattern).waitFor({ state: 'detached' });
  }

  await page.evaluate(() => {
    window.lost = document.getElementById('app');
    window.lost.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext();
  });
  const { frames } = (await state(page)).counters;
  await page.waitForFunction(() => document.getElementById('app') !== window.lost, null, { timeout: 2000 * SLOW });
  const drawn = await until(page, ({ counters }) => counters.frames > frames + 2);
  assert.equal(drawn.screen, 'Race');
  const { series } = await goesOn(page);
  for (const { objective, points } of series) assert.ok(increases(points), objective);
});

test('after the third loss in a row a person decides, and nothing is lost', async () => {
  const page = await open({ query: settings(LONG) });
  await train(page);
  await saved(page);
  for (const attempt of [1, 2]) {
    await fault(page, 'loseDevice');
    await reads(page, new RegExp(`\\(try ${attempt} of 3\\)\\.$`));
    await goesOn(page);
  }
  await fault(page, 'loseDevice');
  const told = await reads(page, /^GPU failed three times\. Run saved at [\d,]+\.$/);
  assert.equal((await state(page)).run.state, 'stopped');
  await press(page, 'button', 'Export');
  await until(page, ({ screen }) => screen === 'Runs');
  const files = unpacked(await exported(page, 'Run folder (.zip)'));
  for (const name of ['last-ar', 'last-masked']) assert.ok(files[`checkpoints/${name}.safetensors`].length > 0, name);
  isWhole(lines(files['metrics.jsonl']));
  await press(page, 'button', 'Use processor');
  const { run } = await until(page, ({ run }) => run.state === 'running');
  assert.equal(run.saved, number(told.match(/[\d,]+/)[0]));
  await goesOn(page);
});

test('with the storage full the run goes on, and the page says that it will not last', async () => {
  const page = await open({ query: settings(LONG) });
  await train(page);
  await fault(page, 'fillStorage');
  await reads(page, "Storage full. The run continues but won't survive closing.");
  await ready(page, 'button', 'Export');
  await goesOn(page);
  await press(page, 'button', 'Free space');
  await until(page, ({ screen }) => screen === 'Runs');
});

test('a second tab only reads, until the first is closed', async () => {
  const page = await open({ query: settings(LONG) });
  await train(page);
  const second = await visit(page.context(), { query: settings(LONG) });
  await reads(second, 'Training in another tab. Read-only here.');
  await until(second, ({ badge }) => badge !== '');
  assert.equal(await control(second, 'button', 'Train both').isEnabled(), false);
  await second.keyboard.press('Control+Enter');
  await second.waitForTimeout(500);
  assert.equal((await state(second)).run, null);
  await goesOn(page);
  await page.close();
  await ready(second, 'button', 'Train both');
  await saying(second, 'Training in another tab. Read-only here.').waitFor({ state: 'detached' });
});
