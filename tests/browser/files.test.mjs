// What people give the page: their own text, and files that are not what they seem.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  crossover,
  drop,
  file,
  folder,
  open,
  press,
  reads,
  ready,
  saying,
  settings,
  state,
  train,
  until,
} from './harness.mjs';

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

test('a picture is no text: the page asks, and Cancel changes nothing', async () => {
  const page = await open();
  await ready(page, 'button', 'Corpus: Markov');
  const shown = () => page.locator('#mirror button').allTextContents();
  const before = await shown();
  await drop(page, file('photo.png', Buffer.concat([PNG, Buffer.alloc(9000, 7)])));
  const question = "photo.png doesn't look like text. Train on raw bytes?";
  await reads(page, question);
  await press(page, 'button', 'Cancel');
  await saying(page, question).waitFor({ state: 'detached' });
  assert.deepEqual(await shown(), before);
  assert.equal((await state(page)).run, null);

  await drop(page, file('photo.png', Buffer.concat([PNG, Buffer.alloc(9000, 7)])));
  await reads(page, question);
  await press(page, 'button', 'Use bytes');
  await ready(page, 'button', 'Corpus: My text…');
  await reads(page, /unique tokens/);
  page.fine();
});

test('a text that is too small, a cut-off checkpoint and one of a newer kind are refused in words, and the run goes on', async () => {
  const page = await open({ query: settings({ epochs: 1000 }) });
  await train(page);
  const whole = await checkpoint();
  const cut = whole.subarray(0, 9000);
  const number = (count) => count.toLocaleString('en');
  for (const [name, content, told] of [
    ['small.txt', 'word'.repeat(203), '812 characters; a race needs 4,000.'],
    [
      'x.safetensors',
      cut,
      `Can't read x.safetensors: header promises ${number(whole.length)} bytes, file has ${number(cut.length)}.`,
    ],
    ['new.safetensors', newer(whole), 'Made by a newer Crossover (99; this reads 1).'],
  ]) {
    const { run } = await state(page);
    await drop(page, file(name, content));
    await reads(page, told);
    await press(page, 'button', 'Dismiss');
    await saying(page, told).waitFor({ state: 'detached' });
    await until(page, (now) => now.run.state === 'running' && now.run.step > run.step && now.run.id === run.id);
  }
  page.fine();
});

/// A checkpoint that the real program has written.
async function checkpoint() {
  const run = join(folder(), 'run');
  await crossover(
    'train',
    '--objective',
    'ar',
    '--corpus',
    'grids:latin-5',
    '--unique',
    '2000',
    '--held-out',
    '2000',
    '--hidden-size',
    '32',
    '--layers',
    '1',
    '--heads',
    '2',
    '--steps',
    '1',
    '--device',
    'cpu',
    '--json',
    '--out',
    run,
  );
  return readFileSync(join(run, 'checkpoints/last-ar.safetensors'));
}

/// The same of a version that is yet to come.
function newer(known) {
  const end = 8 + Number(known.readBigUInt64LE());
  const header = known
    .toString('latin1', 8, end)
    .replace('\\"format_version\\":1,', '\\"format_version\\":99,')
    .trimEnd();
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header, 'latin1'), known.subarray(end)]);
}

test('a paste of 32 MB keeps the page awake, and says how little of it is used', async (t) => {
  const page = await open({
    permissions: ['clipboard-read', 'clipboard-write'],
    query: settings({ corpus: 'own', unique: 50_000, heldout: 20_000 }),
  });
  await until(page, ({ badge }) => badge !== '');
  await ready(page, 'button', 'Paste text');
  await press(page, 'button', 'Paste text');
  await press(page, 'textbox', 'Pasted text');
  await page.evaluate(async () => {
    await navigator.clipboard.writeText('A word, and another. '.repeat(32e6 / 21));
  });
  await page.waitForTimeout(2000);
  await page.evaluate(() => {
    window.tasks = [];
    new PerformanceObserver((list) => {
      window.tasks.push(...list.getEntries().map(({ duration }) => duration));
    }).observe({ type: 'longtask' });
  });
  await page.keyboard.press('Control+V');
  await reads(page, '32 MB given; this budget uses 0.1 MB. The rest is ignored.');
  await reads(page, /^50k unique tokens/);
  // 200 ms where nothing else runs; a busy machine is no failure.
  const longest = Math.max(0, ...(await page.evaluate(() => window.tasks)));
  t.diagnostic(`longest task ${longest} ms`);
  await train(page);
  page.fine();
});

test('a link of a newer kind is refused in words, and starts nothing', async () => {
  const page = await open({ query: '?test#v=3&epochs=5' });
  await reads(page, 'Made by a newer Crossover (3; this reads 1).');
  assert.equal((await state(page)).run, null);
});
