// Training through WebGPU, on a software GPU.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { crossover, exported, folder, go, lines, open, press, reads, settings, train, until } from './harness.mjs';

const SOFTWARE = 'This browser offers only a software GPU, which is slower. Using the processor. You can force it in Device.';
/// Evaluations are far apart, for they take long there.
const RUN = { corpus: 'grids', unique: 2000, heldout: 2000, epochs: 20, width: 32, layers: 1, heads: 2, batch: 4 };
const STEPS = 3;
/// A software GPU compiles for a while before its first step.
const LONG = 300_000;

/// The rows of a table, by its heads.
function rows(table) {
  const [heads, ...rows] = String(table).trim().split('\n').map((line) => line.split(','));
  return rows.map((row) => Object.fromEntries(row.map((cell, index) => [heads[index], cell])));
}

test('a software GPU is used when it is asked for, and trains as the processor does', async () => {
  const page = await open({ webgpu: true, query: settings(RUN) });
  await until(page, ({ badge }) => badge === 'Processor');
  await reads(page, SOFTWARE);
  await go(page, 'Device');
  await press(page, 'button', 'Software GPU');
  await until(page, ({ badge }) => badge === 'Software GPU');
  await go(page, 'Race');
  await train(page, STEPS, { timeout: LONG });
  await press(page, 'button', 'Stop and keep');
  await until(page, ({ run }) => run.state === 'stopped');
  const here = rows(await exported(page, 'Metrics (.csv)'));

  const native = join(folder(), 'native');
  await crossover('race', '--corpus', 'grids:latin-5', '--unique', '2000', '--held-out', '2000', '--epochs', '20', '--hidden-size', '32',
    '--layers', '1', '--heads', '2', '--batch', '4', '--device', 'cpu', '--json', '--out', native);
  const there = lines(readFileSync(join(native, 'metrics.jsonl')));
  for (const objective of ['ar', 'masked']) {
    for (let step = 1; step <= STEPS; step += 1) {
      const one = here.find((row) => row.objective === objective && Number(row.step) === step);
      const other = there.find((line) => line.objective === objective && line.step === step);
      const off = Math.abs(Number(one.train_nats) / other.train_nats - 1);
      assert.ok(off <= 1e-3, `${objective}, step ${step}: ${one.train_nats} here, ${other.train_nats} natively`);
    }
  }
  page.fine();
});
