// What the page computes on.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { go, open, press, reads, until } from './harness.mjs';

for (const webgpu of [false, true]) {
  test(`the processor trains where there is ${webgpu ? 'a software GPU only' : 'no GPU'}`, async () => {
    const page = await open({ webgpu });
    const { badge } = await until(page, ({ badge }) => badge !== '');
    assert.equal(badge, 'Processor');
    page.fine();
  });
}

/// A software GPU compiles for a while first.
const LONG = 300_000;

for (const device of ['Processor', 'Software GPU']) {
  test(`the benchmark tells what share of the matrix product training reaches: ${device}`, async (t) => {
    const page = await open({ webgpu: device !== 'Processor' });
    await until(page, ({ badge }) => badge === 'Processor');
    await go(page, 'Device');
    if (device !== 'Processor') {
      await press(page, 'button', device);
      await until(page, ({ badge }) => badge === device);
    }
    await press(page, 'button', 'Benchmark');
    const told = await reads(
      page, /^[\d.]+ .FLOP\/s · training \d+ % of peak · [\d.]+k? tokens\/s · [\d.]+[kM]? parameters$/, LONG);
    const [, share] = told.match(/training (\d+) %/);
    assert.ok(Number(share) >= 0 && Number(share) <= 100, told);
    t.diagnostic(`${device}: ${told}`);
    page.fine();
  });
}
