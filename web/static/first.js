// Plays the recorded text at once, and meanwhile loads the playground.
(() => {
'use strict';
const one = (id) => document.getElementById(id);
const read = (id) => JSON.parse(one(id).textContent);
const at = (name) => new URL(name, document.baseURI).href;
const files = read('files');

// The recording

const { prompt, steps } = read('trace');
const cells = [...one('cells').children];
const final = cells.map((cell) => cell.textContent);
const states = [prompt];
for (const changes of steps) {
  const next = states.at(-1).slice();
  for (const [position, token] of changes) next[position] = token;
  states.push(next);
}
const recorded = { step: steps.length };
window.crossoverRecorded = recorded;
one('text').textContent = final.join('').replaceAll('·', ' ').replaceAll('⏎', '\n');

const show = (step) => {
  recorded.step = step;
  const fresh = new Set(step && step < steps.length ? steps[step - 1].map(([position]) => position) : []);
  cells.forEach((cell, position) => {
    const token = states[step][position];
    cell.textContent = token ?? '';
    cell.className = prompt[position] !== null ? 'given' : token === null ? 'mask' : fresh.has(position) ? 'fresh' : '';
  });
  one('count').textContent = `step ${step} of ${steps.length}`;
  if (fresh.size && !performance.getEntriesByName('cell').length) performance.mark('cell');
};

let timer;
const play = () => {
  stop();
  one('replay').hidden = true;
  show(0);
  const advance = () => {
    show(recorded.step + 1);
    timer = recorded.step < steps.length ? setTimeout(advance, Math.min(250, 5000 / steps.length)) : stop();
  };
  timer = setTimeout(advance, 50);
};
const stop = () => {
  clearTimeout(timer);
  one('replay').hidden = false;
};
one('replay').onclick = play;
performance.mark('paint');
if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
  show(steps.length);
  stop();
} else {
  play();
}

// The playground

const problem = (text, retry = false) => {
  one('problem').textContent = text;
  one('loading').hidden = true;
  one('retry').hidden = !retry;
};
const unable = () => problem("This browser can't run the playground. Above is a recorded run; the command line works everywhere.");

// A program of one function that uses a vector: what every browser with WebAssembly SIMD takes.
const vectors = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const able = () => {
  try {
    const context = document.createElement('canvas').getContext('webgl2');
    context.getExtension('WEBGL_lose_context')?.loseContext();
    return WebAssembly.validate(new Uint8Array(vectors));
  } catch {
    return false;
  }
};

window.crossoverAssets = {
  worker: at(files.start),
  bundled: at(files.bundled),
  here: (port) => import(at(files.start)).then((module) => module.start(port)),
};

const MEGA = 1e6;
// Nothing for this long: the connection is gone, though nobody said so.
const PATIENCE = 30000;
let tries = 0;

const load = async () => {
  problem('');
  one('loading').hidden = false;
  tries += 1;
  // A module that failed to load is not tried again under the same name.
  const again = tries > 1 ? `?${tries}` : '';
  let received = 0;
  let complete = false;
  const cut = new AbortController();
  let silence;
  const progress = () => {
    one('progress').value = received / files.bytes;
    one('loaded').textContent = `${(received / MEGA).toFixed(1)} of ${(files.bytes / MEGA).toFixed(1)} MB`;
    clearTimeout(silence);
    silence = setTimeout(() => cut.abort(), PATIENCE);
  };
  progress();
  try {
    const scripts = Promise.all([import(at(files.page) + again), import(at(files.app) + again)]);
    const response = fetch(at(files.wasm), { signal: cut.signal }).then((response) => {
      if (!response.ok) throw new Error(`status ${response.status}`);
      return response;
    });
    const [[, app], { body }] = await Promise.all([scripts, response]);
    const counted = body.pipeThrough(new TransformStream({
      transform(chunk, out) {
        received += chunk.length;
        progress();
        out.enqueue(chunk);
      },
      flush() {
        complete = received >= files.bytes;
        clearTimeout(silence);
      },
    }));
    await app.default({ module_or_path: new Response(counted, { headers: { 'Content-Type': 'application/wasm' } }) });
  } catch (error) {
    clearTimeout(silence);
    if (complete) {
      unable();
      throw error;
    }
    problem(`Download stopped at ${(received / MEGA).toFixed(1)} of ${(files.bytes / MEGA).toFixed(1)} MB.`, true);
  }
};
one('retry').firstChild.onclick = load;

window.crossoverFirst = {
  unable,
  // The canvas has its first picture.
  leave() {
    clearTimeout(timer);
    one('first').hidden = true;
  },
};
// After the first cell: asking for WebGL may wait for a whole process to start.
setTimeout(() => (able() ? load() : unable()), 100);
})();
