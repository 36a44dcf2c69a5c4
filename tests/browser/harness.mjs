// What the browser's tests share: the real server, a real browser, and the page's own account of what it shows.
//
// `cargo xtask test` builds dist/ and runs every `*.test.mjs` here; by hand, after `cargo xtask web`:
//   CROSSOVER=target/debug/crossover PLAYWRIGHT=FOLDER node --test --test-concurrency=1 tests/browser/*.test.mjs
// where FOLDER is one in which `npm install playwright-core` was run.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { after, afterEach } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync, inflateRawSync } from 'node:zlib';

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

/// A window whose tabs hide each other, as they do for people: elsewhere every page counts as looked at.
export async function tabs() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  const launched = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...FLAGS, `--remote-debugging-port=${port}`],
  });
  closing.push(() => launched.close());
  const seen = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  closing.push(() => seen.close());
  return seen.contexts()[0];
}

/// Opens the playground in a fresh profile: a Playwright page. `before(page)` runs before anything loads; `wait: false`
/// doesn't wait for the canvas. What goes wrong on the page fails the test that calls `page.fine()`.
export async function open({
  webgpu = false,
  size = [1280, 800],
  dark = false,
  reduced = false,
  touch = false,
  permissions = [],
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
    permissions,
  });
  opened.push(context);
  return visit(context, { url, query, before, wait });
}

/// Opens the playground in another tab of the same profile.
export async function visit(context, { url, query = '?test', before, wait = true } = {}) {
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

/// Looks again and again until something holds of what is found, and gives that; `problem` says what is wrong until then.
export async function poll(look, holds, problem, timeout = PATIENCE) {
  for (const end = Date.now() + timeout; ; ) {
    const found = await look();
    if (holds(found)) return found;
    assert.ok(Date.now() < end, problem(found));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/// Waits until what is on the screen is so, and tells it.
export const until = (page, holds, { timeout } = {}) =>
  poll(() => state(page), holds, (now) => `still not so: ${holds}\n${JSON.stringify(now).slice(0, 2000)}`, timeout);

/// A control, by its role and name, as a screen reader finds it.
export const control = (page, role, name) => page.locator('#mirror').getByRole(role, { name }).first();

/// Clicks where a control is drawn; one that has to be scrolled to is pressed as a screen reader does.
export async function press(page, role, name) {
  const found = control(page, role, name);
  const box = await found.boundingBox();
  const [left, top] = box ? [box.x + box.width / 2, box.y + box.height / 2] : [Infinity, Infinity];
  const shown = page.viewportSize() ?? (await page.evaluate(() => ({ width: innerWidth, height: innerHeight })));
  if (left < shown.width && top < shown.height) await page.mouse.click(left, top);
  else await found.evaluate((element) => element.click());
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

/// Waits until a control can be used.
export async function ready(page, role, name) {
  const found = control(page, role, name);
  await found.waitFor({ state: 'attached' });
  await poll(() => found.isEnabled(), (usable) => usable, () => `${role} "${name}" can't be used`);
}

/// What says a text, as what it shows or as its name: exactly this one, or one that matches.
export const saying = (page, text) => {
  const mirror = page.locator('#mirror');
  return mirror.getByText(text, { exact: true }).or(mirror.getByLabel(text, { exact: true })).first();
};

/// Waits until a text can be read somewhere in the canvas, and tells it.
export async function reads(page, text, timeout = PATIENCE) {
  const found = saying(page, text);
  await found.waitFor({ state: 'attached', timeout });
  return (await found.getAttribute('aria-label')) ?? found.textContent();
}

/// Goes to a screen by its key.
export async function go(page, screen) {
  const key = ['Race', 'Denoise', 'Inspect', 'Runs', 'Device'].indexOf(screen) + 1;
  await page.keyboard.press(`Digit${key}`);
  await until(page, (now) => now.screen === screen);
}

/// The smallest race that there is, as the settings of a link.
const SMALLEST = {
  corpus: 'markov',
  unique: 2000,
  heldout: 2000,
  epochs: 100,
  width: 32,
  layers: 1,
  heads: 2,
  context: 16,
  batch: 4,
};

/// What follows the page's address for the smallest race, with some settings changed.
export const settings = (changes = {}, test = 'test') =>
  `?${test}#${new URLSearchParams({ v: 1, ...SMALLEST, ...changes })}`;

/// Trains what is set, by the keyboard alone, and waits for the first steps.
export async function train(page, steps = 1, patience = {}) {
  await ready(page, 'button', 'Train both');
  await page.keyboard.press('Control+Enter');
  return until(page, ({ run }) => run !== null && run.step >= steps, patience);
}

/// Drops files on the page.
export async function drop(page, ...files) {
  const session = await page.context().newCDPSession(page);
  const { width, height } = page.viewportSize();
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await session.send('Input.dispatchDragEvent', { type, x: width / 2, y: height / 2, data });
  }
  await session.detach();
}

/// Does something that gives a file away: the file.
export async function given(page, act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  return readFileSync(await download.path());
}

/// A file of the newest run, by its name in the menu.
export async function exported(page, name) {
  await go(page, 'Runs');
  const tick = control(page, 'checkbox', /./);
  await tick.waitFor({ state: 'attached' });
  if (!(await tick.isChecked())) await press(page, 'checkbox', /./);
  await ready(page, 'button', 'Export…');
  await press(page, 'button', 'Export…');
  await ready(page, 'button', name);
  return given(page, () => press(page, 'button', name));
}

/// The lines of a record.
export const lines = (text) =>
  String(text)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/// The record must have every step of every model once, in order.
export function isWhole(metrics) {
  for (const objective of new Set(metrics.map((line) => line.objective))) {
    const steps = metrics.filter((line) => line.objective === objective).map((line) => line.step);
    assert.deepEqual(steps, steps.map((_, index) => index + 1), `steps of ${objective}`);
  }
}

/// A folder for a file of tests.
export function folder() {
  const made = mkdtempSync(join(tmpdir(), 'crossover-browser-'));
  closing.push(async () => rmSync(made, { recursive: true }));
  return made;
}

/// A file with this content in a folder of its own: its path.
export function file(name, content) {
  const path = join(folder(), name);
  writeFileSync(path, content);
  return path;
}

/// Runs the real program: what it prints.
export async function crossover(...given) {
  const { stdout } = await promisify(execFile)(process.env.CROSSOVER, given, { maxBuffer: 1 << 28 });
  return stdout;
}

/// The files in a packed folder, by name.
export function unpacked(archive) {
  const files = {};
  let at = archive.readUInt32LE(archive.lastIndexOf('PK\x05\x06', undefined, 'latin1') + 16);
  while (archive.readUInt32LE(at) === 0x02014b50) {
    const [method, packed] = [archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 20)];
    const [name, extra, comment] = [28, 30, 32].map((field) => archive.readUInt16LE(at + field));
    const local = archive.readUInt32LE(at + 42);
    const content = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const bytes = archive.subarray(content, content + packed);
    files[archive.toString('utf8', at + 46, at + 46 + name)] = method === 8 ? inflateRawSync(bytes) : bytes;
    at += 46 + name + extra + comment;
  }
  return files;
}

/// A packed folder with these files, by name.
export function packed(files) {
  const [bodies, directory] = [[], []];
  let at = 0;
  for (const [name, given] of Object.entries(files)) {
    const [title, content] = [Buffer.from(name), Buffer.from(given)];
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    // The eight bytes that end a gzip file: the content's checksum, which node doesn't offer by itself, and its length.
    facts.writeUInt32LE(gzipSync(content).subarray(-8).readUInt32LE(), 10);
    facts.writeUInt32LE(content.length, 14);
    facts.writeUInt32LE(content.length, 18);
    facts.writeUInt16LE(title.length, 22);
    const where = Buffer.alloc(14);
    where.writeUInt32LE(at, 10);
    bodies.push(Buffer.from('PK\x03\x04'), facts, title, content);
    directory.push(Buffer.from('PK\x01\x02\x14\x00'), facts, where, title);
    at += 30 + title.length + content.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(Object.keys(files).length, 4);
  end.writeUInt16LE(Object.keys(files).length, 6);
  end.writeUInt32LE(index.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...bodies, index, Buffer.from('PK\x05\x06'), end]);
}

/// The files in a folder and the folders in it, by their paths there.
export function contents(folder) {
  const paths = readdirSync(folder, { recursive: true }).filter((path) => statSync(join(folder, path)).isFile());
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(folder, path))]));
}
