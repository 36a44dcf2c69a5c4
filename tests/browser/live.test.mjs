// What a visitor sees who touches nothing: the recorded text first, then models that write here.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SLOW, open, until } from './harness.mjs';

test('the bundled models write without a click', async () => {
  const page = await open();
  const recorded = await until(page, ({ theatre }) => theatre !== null);
  // From the worker: it has a program of its own, which has to load first.
  const live = await until(page, ({ theatre }) => theatre.source === 'live', { timeout: 10_000 * SLOW });
  assert.ok(live.counters.messages > recorded.counters.messages || recorded.theatre.source === 'live');
  assert.ok(live.theatre.cells.length > 0);
  const done = await until(page, ({ theatre }) => theatre.source === 'live' && theatre.step === theatre.steps);
  assert.ok(done.theatre.cells.every(({ id }) => id !== null));
  assert.equal(done.run, null);
  page.fine();
});
