// How the page does while it trains: `cargo xtask long playground [MINUTES]` runs this on the optimized site and prints a
// Markdown table.

import { test } from 'node:test';

import { control, drawn, open, press, state, until } from './harness.mjs';

const MINUTES = Number(process.env.MINUTES ?? 20);
/// A run that outlasts the measuring: the default model of a page without a GPU, on text without an end.
const LINK = '?test#v=1&corpus=tales&unique=200000&epochs=1000&width=96&layers=4&heads=4&context=64&batch=32';

const rows = [];
const row = (what, value, limit) => rows.push(`| ${what} | ${value} | ${limit} |`);
const quantile = (values, q) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];
const ms = (value) => `${value.toFixed(0)} ms`;
const mark = (page, name) => page.evaluate((name) => performance.getEntriesByName(name)[0]?.startTime ?? NaN, name);

/// The time between two pictures over some seconds, in ms: what anything in the page's way adds to.
const frames = (page, seconds) =>
  page.evaluate(
    (end) =>
      new Promise((resolve) => {
        const gaps = [];
        let last = performance.now();
        const next = (now) => {
          gaps.push(now - last);
          last = now;
          if (now < end + start) requestAnimationFrame(next);
          else resolve(gaps);
        };
        const start = last;
        requestAnimationFrame(next);
      }),
    seconds * 1000,
  );

/// From the next press of the pointer until the run is held, in ms, by the page's own clock.
const held = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const pressed = ({ timeStamp }) => {
          const look = () => {
            if (window.crossover.state().run.state === 'paused') resolve(performance.now() - timeStamp);
            else requestAnimationFrame(look);
          };
          look();
        };
        addEventListener('pointerdown', pressed, { capture: true, once: true });
      }),
  );

test('the page while it trains', async () => {
  const page = await open({ query: LINK });
  row('first paint', ms(await mark(page, 'paint')), '1000 ms');
  row('first recorded cell', ms(await mark(page, 'cell')), '1200 ms');
  row('canvas interactive', ms(await mark(page, 'canvas')), '4 s, x4 here');
  await until(page, ({ badge }) => badge !== '');
  const idle = await frames(page, 20);
  row('time between pictures, idle, 95th percentile', ms(quantile(idle, 0.95)), '17 ms, x4 here');

  const clicked = Date.now();
  await page.keyboard.press('Control+Enter');
  // Each step adds a point to the training curves; so long a run is evaluated much later.
  await until(page, ({ run }) => run?.step > 0);
  row('click to first loss point', ms(Date.now() - clicked), '5 s, x4 here');

  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask' });
  });
  const before = (await state(page)).counters;
  const training = await frames(page, 60);
  const after = (await state(page)).counters;
  row('time between pictures, training, 95th percentile', ms(quantile(training, 0.95)), '100 ms');
  row('longest task', ms(await page.evaluate(() => window.longest)), '200 ms');
  row('messages from the worker', `${((after.messages - before.messages) / 60).toFixed(1)} a second`, '20 a second');
  row('their size', `${((after.bytes - before.bytes) / 60 / 1024).toFixed(1)} KiB a second`, '64 KiB a second');

  const waits = [];
  for (let round = 0; round < 9; round++) {
    const wait = held(page);
    await press(page, 'button', 'Pause');
    waits.push(await wait);
    await press(page, 'button', 'Continue');
    await until(page, ({ run }) => run.state === 'running');
    await page.waitForTimeout(3000);
  }
  row('click on Pause to paused, median and longest of 9', `${ms(quantile(waits, 0.5))}, ${ms(Math.max(...waits))}`, '250 ms');

  const start = (await state(page)).run.step;
  const memory = [];
  for (let minute = 0; minute < MINUTES; minute++) {
    await page.waitForTimeout(60_000);
    const { counters, run } = await state(page);
    memory.push(counters.memory / 2 ** 20);
    console.error(`minute ${minute + 1}: step ${run.step}, worker ${memory.at(-1).toFixed(1)} MiB`);
  }
  const { run } = await state(page);
  row('steps of both models a second', ((run.step - start) / MINUTES / 60).toFixed(2), '');
  row(
    `worker's memory after minute 1 and minute ${MINUTES}`,
    `${memory[0].toFixed(1)} and ${memory.at(-1).toFixed(1)} MiB (${((memory.at(-1) / memory[0] - 1) * 100).toFixed(1)} %)`,
    'grows by less than 5 %',
  );

  const saved = await page.evaluate(() => window.crossover.state().run.step);
  await page.reload();
  await drawn(page);
  await control(page, 'button', 'Resume').waitFor();
  await press(page, 'button', 'Resume');
  // The step that the run goes on from is the one that was kept.
  const kept = (await until(page, ({ run }) => run !== null && run.saved !== null)).run.saved;
  const rate = (run.step - start) / MINUTES / 60;
  row('training lost by a reload', `${((saved - kept) / rate).toFixed(1)} s (step ${kept} of ${saved})`, '10 s');

  page.fine();
  console.log(`| what | measured | limit |\n|---|---|---|\n${rows.join('\n')}`);
});
