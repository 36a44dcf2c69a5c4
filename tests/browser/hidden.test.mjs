// A tab that nobody looks at.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { settings, state, tabs, train, until, visit } from './harness.mjs';

test('in a hidden tab training goes on, nothing is painted, and the title tells how far it is', async () => {
  const context = await tabs();
  const page = await visit(context, { query: settings({ epochs: 1000 }) });
  await train(page);
  const other = await context.newPage();
  await other.bringToFront();
  await page.waitForFunction(() => document.visibilityState === 'hidden', null, { polling: 100 });
  await page.waitForTimeout(1000);
  const before = await state(page);
  const after = await until(page, ({ run }) => run.step > before.run.step + 20);
  assert.equal(after.run.state, 'running');
  assert.equal(after.counters.frames, before.counters.frames);
  const title = await page.title();
  const [, percent] = title.match(/^(\d+) % · Crossover$/) ?? [];
  const now = (await state(page)).run;
  assert.ok(Math.abs((100 * now.step) / now.steps - percent) <= 1.5, `${title} at ${now.step} of ${now.steps}`);
  await page.bringToFront();
  await until(page, ({ counters }) => counters.frames > after.counters.frames);
  page.fine();
});
