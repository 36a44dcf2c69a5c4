// The same run here and natively gives the same, and what one has trained the other one measures alike.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { contents, control, crossover, drop, exported, file, folder, go, isWhole, lines, open, packed, press, reads, ready, settings, train, unpacked, until } from './harness.mjs';

const HELD_OUT = 2000;

/// A text without an order, of few letters: 8,000 characters, the same each time.
const TEXT = (() => {
  let [text, drawn] = ['', 1];
  while (text.length < 8000) {
    drawn = (drawn * 48271) % 2147483647;
    text += 'abcdefgh  \n'[(drawn >> 8) % (text.at(-1) === 'a' ? 3 : 11)];
  }
  return text;
})();

/// What a flag of the command line is in a link.
const RUN = { unique: 2000, heldout: HELD_OUT, context: 16, width: 32, layers: 1, heads: 2, batch: 8, epochs: 2 };
const FLAGS = ['--unique', '2000', '--held-out', String(HELD_OUT), '--hidden-size', '32', '--layers', '1',
  '--heads', '2', '--batch', '8', '--epochs', '2', '--device', 'cpu', '--threads', '1', '--json'];

/// Fails where two figures differ by more than this share of the second.
function close(here, there, share, what) {
  assert.ok(Number.isFinite(here) && Number.isFinite(there), `${what}: ${here}, ${there}`);
  assert.ok(Math.abs(here - there) <= share * Math.abs(there), `${what}: ${here} here, ${there} natively`);
}

const result = (events) => lines(events).find(({ event }) => event === 'result');

test('own text trains here as it does natively, stays here, and its models measure alike there', async () => {
  const text = file('letters.txt', TEXT);
  const page = await open({ query: settings({ ...RUN, corpus: 'own' }) });
  await until(page, ({ badge }) => badge !== '');
  await drop(page, text);
  await reads(page, 'letters.txt');
  await reads(page, /^2k unique tokens · 2k held out · vocabulary \d+$/);
  await train(page);
  await until(page, ({ run }) => run.step >= 20, { timeout: 120_000 });
  await press(page, 'button', 'Stop and keep');
  await until(page, ({ run }) => run.state === 'stopped');
  const files = unpacked(await exported(page, 'Run folder (.zip)'));
  const here = lines(files['metrics.jsonl']);
  isWhole(here);

  const native = join(folder(), 'native');
  await crossover('race', '--corpus', text, '--tokenizer', 'char', '--length', '16', ...FLAGS, '--out', native);
  const there = lines(readFileSync(join(native, 'metrics.jsonl')));
  for (const objective of ['ar', 'masked']) {
    for (const [step, share] of [[1, 1e-5], [20, 1e-3]]) {
      const [one, other] = [here, there].map((all) => all.find((line) => line.objective === objective && line.step === step));
      for (const figure of ['train_nats', 'val_nats', 'grad_norm']) close(one[figure], other[figure], share, `${objective}, step ${step}, ${figure}`);
      assert.deepEqual([one.tokens, one.lr], [other.tokens, other.lr]);
    }
  }

  // So few steps are evaluated one by one, on what comes before the end of the text.
  const part = file('validation.txt', TEXT.slice(-2 * HELD_OUT, -HELD_OUT));
  for (const objective of ['ar', 'masked']) {
    const { val_nats } = here.filter((line) => line.objective === objective).at(-1);
    const checkpoint = file(`last-${objective}.safetensors`, files[`checkpoints/last-${objective}.safetensors`]);
    const measured = JSON.parse(await crossover('evaluate', '--checkpoint', checkpoint, '--text', part, '--levels', '8', '--device', 'cpu', '--json'));
    close(val_nats, measured.nats, 1e-4, objective);
  }
  page.fine();
});

test('models of a native run measure alike here', async () => {
  const run = join(folder(), 'native');
  const config = file('samples.toml', '[evaluate]\nsamples = 2\n');
  await crossover('race', '--corpus', 'grids:latin-5', '--config', config, ...FLAGS, '--out', run);
  const files = contents(run);
  // As if it had been cut off just before its end: what is left to do is to measure its models.
  const there = result(files['events.jsonl']);
  const record = lines(files['metrics.jsonl']);
  const steps = Math.max(...record.map(({ step }) => step));
  const without = (all, is) => all.filter((line) => !is(line)).map((line) => `${JSON.stringify(line)}\n`).join('');
  files['events.jsonl'] = without(lines(files['events.jsonl']), ({ event }) => event === 'result');
  files['metrics.jsonl'] = without(record, ({ step }) => step === steps);

  const page = await open();
  await until(page, ({ badge }) => badge !== '');
  await go(page, 'Runs');
  await drop(page, file('cut-off.zip', packed(files)));
  await reads(page, 'Imported cut-off.');
  await control(page, 'checkbox', 'cut-off').waitFor({ state: 'attached' });
  await press(page, 'checkbox', 'cut-off');
  await ready(page, 'button', 'Resume');
  await press(page, 'button', 'Resume');
  await until(page, ({ run }) => run?.state === 'done');
  const here = result(unpacked(await exported(page, 'Run folder (.zip)'))['events.jsonl']);
  for (const figure of ['ar_best_nats', 'masked_best_nats', 'difference_se']) close(here[figure], there[figure], 1e-4, figure);
  page.fine();
});
