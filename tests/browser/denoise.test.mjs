// Texts that models of a native run write here: beside each other, pinned, branched, cached, and back to the terminal.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { contents, crossover, drop, file, focused, folder, given, go, lines, open, packed, poll, press, reads, ready, state, until } from './harness.mjs';

const LENGTH = 16;

/// A native race on tales, as small as they come; packed, by who races against AR.
const [races, runs] = [{}, {}];
before(async () => {
  for (const second of ['masked', 'block']) {
    const run = join(folder(), `native-${second}`);
    await crossover('race', '--corpus', 'tales', '--second', second, '--unique', '2000', '--held-out', '2000',
      '--length', String(LENGTH), '--hidden-size', '32', '--layers', '1', '--heads', '2', '--batch', '16', '--steps', '40',
      '--evaluate-every', '40', '--device', 'cpu', '--out', run, '--json');
    runs[second] = run;
    races[second] = file(`native-${second}.zip`, packed(contents(run)));
  }
});

/// Opens the theatre with the models of a native race.
async function theatre(second = 'masked') {
  const page = await open();
  await until(page, ({ badge }) => badge !== '');
  await go(page, 'Runs');
  await drop(page, races[second]);
  await reads(page, `Imported native-${second}.`);
  await reads(page, `native-${second}`);
  await go(page, 'Denoise');
  await ready(page, 'button', 'Model: Latest');
  return page;
}

/// Writes a text, and goes to its end.
async function write(page) {
  const before = await state(page);
  await page.keyboard.press('Control+Enter');
  const different = ({ theatre }) => JSON.stringify(theatre) !== JSON.stringify(before.theatre);
  await until(page, (now) => now.theatre.source === 'live' && now.theatre.cells.length === LENGTH && different(now));
  return last(page);
}

async function last(page) {
  await page.keyboard.press('End');
  return (await until(page, ({ theatre }) => theatre.step === theatre.steps)).theatre;
}

/// Goes to a step from the first one.
async function goTo(page, step) {
  await page.keyboard.press('Home');
  await until(page, ({ theatre }) => theatre.step === 0);
  for (let next = 1; next <= step; next += 1) {
    await page.keyboard.press('Period');
    await until(page, ({ theatre }) => theatre.step === next);
  }
}

/// The text at every step, from before the first to the last.
async function film(page) {
  await page.keyboard.press('Home');
  const shown = [(await until(page, ({ theatre }) => theatre.step === 0)).theatre];
  while (shown.at(-1).step < shown.at(-1).steps) {
    await page.keyboard.press('Period');
    shown.push((await until(page, ({ theatre }) => theatre.step > shown.at(-1).step)).theatre);
  }
  assert.deepEqual(shown.map(({ step }) => step), shown.map((_, index) => index));
  return shown.map(({ cells }) => cells);
}

const ids = (cells) => cells.map(({ id }) => id);

/// Gives a position the focus.
async function select(page, position) {
  await press(page, 'button', new RegExp(`^position ${position}: `));
  const here = (name) => name?.startsWith(`position ${position}: `);
  await poll(() => focused(page), here, (name) => `position ${position} has no focus, but ${name}`);
}

test('a native run loads here, and its models write side by side from one prompt', async () => {
  const page = await theatre();
  await press(page, 'textbox', 'Prompt');
  await page.keyboard.type('the ');
  const text = await write(page);
  assert.equal(text.cells.length, LENGTH);
  assert.deepEqual(text.cells.slice(0, 4).map(({ state }) => state), Array(4).fill('prompt'));
  assert.ok(text.cells.every(({ id }) => id !== null));
  const costs = await reads(page, /^Above: \d+ model calls, .* FLOPs · AR: \d+ model calls, .* FLOPs$/);
  const [diffusion, ar] = [...costs.matchAll(/(\d+) model calls/g)].map(([, calls]) => Number(calls));
  assert.ok(diffusion > 0 && diffusion <= LENGTH - 4 && ar === LENGTH - 4, costs);
  // The same beginning, here as text and above as cells. What AR has written after as many model calls may end earlier.
  await reads(page, /^the /);

  // What was written here is read, checked and played in a terminal.
  const trace = file('trace.jsonl', await given(page, () => press(page, 'button', 'Save trace')));
  const checked = JSON.parse(await crossover('trace', 'check', trace, '--json'));
  assert.equal(checked.ok, true);
  assert.deepEqual([checked.kind, checked.length, checked.steps], ['masked', LENGTH, text.steps]);
  const played = await crossover('trace', 'play', trace);
  assert.ok(played.includes('the '), played);

  // And comes back.
  await page.keyboard.press('Home');
  await drop(page, trace);
  await until(page, ({ theatre }) => theatre.source === 'file');
  assert.deepEqual((await last(page)).cells, text.cells);
  page.fine();
});

test('what is pinned stands in every step, and a branch keeps what came before it', async () => {
  const page = await theatre();
  await write(page);
  const main = await film(page);
  const pins = { 3: main.at(-1)[3].id, 9: main.at(-1)[9].id };
  for (const position of Object.keys(pins)) {
    await select(page, position);
    await page.keyboard.press('KeyP');
    await until(page, ({ theatre }) => theatre.cells[position].state === 'pinned');
  }
  await write(page);
  const pinned = await film(page);
  for (const [step, cells] of pinned.entries()) {
    for (const [position, id] of Object.entries(pins)) {
      assert.equal(cells[position].id, id, `step ${step}, position ${position}`);
      assert.ok(['prompt', 'pinned'].includes(cells[position].state), cells[position].state);
    }
  }

  // A branch with a change: the same up to there, the change from there on.
  const at = 6;
  await goTo(page, at);
  const written = pinned[at].findIndex(({ state }) => ['revealed', 'committed'].includes(state));
  assert.ok(written >= 0);
  await select(page, written);
  await page.keyboard.press('Delete');
  await until(page, ({ theatre }) => ['remasked', 'mask'].includes(theatre.cells[written].state));
  await page.keyboard.press('KeyB');
  await ready(page, 'button', `Branch 1 @${at}`);
  await until(page, ({ theatre }) => theatre.source === 'live');
  const branch = await film(page);
  for (let step = 0; step <= at; step += 1) assert.deepEqual(ids(branch[step]), ids(pinned[step]), `step ${step}`);
  const again = branch.slice(at + 1).map((cells) => cells[written].state);
  assert.deepEqual([again[0], again.at(-1)], ['remasked', 'committed'], `${again}`);
  assert.ok(branch.at(-1).every(({ id }) => id !== null));

  // Without a change and with the same seed it is the parent once more.
  await press(page, 'button', 'Main');
  // The branch ended otherwise.
  await until(page, ({ theatre }) => String(ids(theatre.cells)) === String(ids(pinned[theatre.step])));
  await goTo(page, 2);
  await page.keyboard.press('KeyB');
  await ready(page, 'button', 'Branch 2 @2');
  assert.deepEqual((await film(page)).map(ids), pinned.map(ids));
  page.fine();
});

test('approximate caches show by how much they are off', async () => {
  const page = await theatre();
  await write(page);
  await press(page, 'button', 'Compare: AR');
  await press(page, 'button', 'Cached');
  for (const cache of ['Prefix', 'Dual', 'dKV']) {
    if (cache !== 'Prefix') {
      await press(page, 'button', /^Cache: /);
      await press(page, 'button', cache);
    }
    await ready(page, 'button', `Cache: ${cache}`);
    const told = await reads(page, /maximum [\d.]+e-?\d+ nats · \d+ of \d+ tokens differ$/);
    const [, most] = told.match(/maximum ([\d.e-]+) nats/);
    assert.ok(Number(most) >= 0 && Number(most) < 10, told);
  }
  await reads(page, 'Measuring it doubles the work.');
  page.fine();
});

test('a block model\'s cache is exact', async () => {
  const page = await theatre('block');
  await write(page);
  await press(page, 'button', 'Compare: AR');
  await press(page, 'button', 'Cached');
  await reads(page, 'Block, exact');
  const told = await reads(page, /maximum [\d.]+e-?\d+ nats · \d+ of \d+ tokens differ$/);
  const [, most, differ] = told.match(/maximum ([\d.e-]+) nats · (\d+) of/);
  assert.ok(Number(most) <= 1e-5, told);
  assert.equal(differ, '0');
  page.fine();
});

test('what a block model keeps between steps changes nothing in what it writes', async () => {
  const page = await theatre('block');
  await write(page);
  const here = lines(await given(page, () => press(page, 'button', 'Save trace'))).filter((line) => line.step > 0);
  const checkpoint = join(runs.block, 'checkpoints/last-block.safetensors');
  const trace = join(folder(), 'native.jsonl');
  await crossover('sample', '--checkpoint', checkpoint, '--cache', 'none', '--steps', String(LENGTH), '--seed', '1', '--trace', trace,
    '--device', 'cpu', '--json');
  const there = lines(readFileSync(trace)).filter((line) => line.step > 0);
  assert.equal(here.length, there.length);
  for (const [index, { step, tokens, confidence }] of there.entries()) {
    assert.deepEqual(here[index].tokens, tokens, `step ${step}`);
    // The largest difference of any probability bounds the divergence, which is far below it.
    const off = confidence.map((sure, position) => Math.abs(sure - here[index].confidence[position]));
    assert.ok(Math.max(...off) <= 1e-4, `step ${step}: ${off}`);
  }
  page.fine();
});
