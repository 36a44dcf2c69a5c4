// What the browser's tests share: the real server, a real browser, and the page's own account of what it shows.
//
// `cargo xtask test` builds dist/ and runs every `*.test.mjs` here; by hand, after `cargo xtask web`:
//   CROSSOVER=target/debug/crossover PLAYWRIGHT=FOLDER node --test --test-concurrency=1 tests/browser/*.test.mjs
// where FOLDER is one in which `npm install playwright-core` was run.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const DIST = join(ROOT, 'dist');
const { chromium } = await import(
  pathToFileURL(join(process.env.PLAYWRIGHT, 'node_modules/playwright-core/index.mjs'))
);
const SCREENSHOTS = process.env.SCREENSHOTS ?? join(ROOT, 'target/screenshots');

/// Everything but the first cell may take this many times as long on a machine without a GPU.
export const SLOW = 4;
/// How long the page may take until its canvas is there, in milliseconds.
export const CANVAS = 4000 * SLOW;

/// How long to wait for what no test times: a busy machine is no failure.
const PATIENCE = 60_000;

const closing = [];
const opened = [];
// A page left open would train on beside the next test.
afterEach(async () => {
  for (const context of opened.splice(0)) await context.close();
});
after(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/// Serves a folder with the real program: `{ url, stop }`.
export async function serve(folder = DIST, port = 0) {
  const server = spawn(process.env.CROSSOVER, ['serve', '--json', '--port', String(port), '--folder', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  const stop = async () => {
    server.kill();
    await ended;
  };
  closing.push(stop);
  for await (const line of createInterface({ input: server.stdout })) {
    return { url: JSON.parse(line).url, stop };
  }
  throw new Error('`crossover serve` said nothing');
}

let site;
/// The address of dist/, served once for a file of tests.
export async function address() {
  site ??= serve();
  return (await site).url;
}

const FLAGS = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];
const browsers = new Map();

/// A browser whose WebGPU is a software one, or which has none.
async function browser(webgpu) {
  if (!browsers.has(webgpu)) {
    const launched = chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: webgpu ? [...FLAGS, ...WEBGPU] : FLAGS,
    });
    browsers.set(webgpu, launched);
    closing.push(async () => (await launched).close());
  }
  return browsers.get(webgpu);
}

/// Opens the playground in a fresh profile: a Playwright page. `before(page)` runs before anything loads; `wait: false`
/// doesn't wait for the canvas. What goes wrong on the page fails the test that calls `page.fine()`.
export async function open({
  webgpu = false,
  size = [1280, 800],
  dark = false,
  reduced = false,
  touch = false,
  url,
  query = '?test',
  before,
  wait = true,
} = {}) {
  const context = await (await browser(webgpu)).newContext({
    viewport: { width: size[0], height: size[1] },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: reduced ? 'reduce' : 'no-preference',
    hasTouch: touch,
  });
  opened.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  const origin = new URL(url ?? (await address())).origin;
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (to.protocol.startsWith('http') && to.origin !== origin) problems.push(`a request left: ${to}`);
  });
  page.fine = () => assert.deepEqual(problems, []);
  await before?.(page);
  await page.goto((url ?? (await address())) + query);
  if (wait) await drawn(page);
  return page;
}

/// Waits until the canvas has taken over.
export async function drawn(page) {
  await page.waitForFunction(() => performance.getEntriesByName('canvas').length > 0, null, { timeout: PATIENCE });
}

/// What is on the screen.
export const state = (page) => page.evaluate(() => window.crossover.state());

/// Waits until what is on the screen is so, and tells it.
export async function until(page, holds, { timeout = PATIENCE } = {}) {
  const end = Date.now() + timeout;
  for (;;) {
    const now = await state(page);
    if (holds(now)) return now;
    assert.ok(Date.now() < end, `still not so: ${holds}\n${JSON.stringify(now).slice(0, 2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/// A control, by its role and name, as a screen reader finds it.
export const control = (page, role, name) => page.locator('#mirror').getByRole(role, { name }).first();

/// Clicks where a control is drawn.
export async function press(page, role, name) {
  const { x, y, width, height } = await control(page, role, name).boundingBox();
  await page.mouse.click(x + width / 2, y + height / 2);
}

/// What has the focus in the canvas: its name, or null.
export const focused = (page) =>
  page.evaluate(() => {
    const canvas = document.getElementById('app');
    const element = document.getElementById(canvas.getAttribute('aria-activedescendant'));
    return element && (element.getAttribute('aria-label') || element.textContent || element.id);
  });

/// Keeps a picture of the page.
export async function picture(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}
