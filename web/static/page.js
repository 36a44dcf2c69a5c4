// What the playground's program asks of the page around it: an accessible copy of what it draws, the way of the keyboard
// in and out of the canvas, and what to show when it stops.
'use strict';
const one = (id) => document.getElementById(id);
const mirror = one('mirror');
const testing = new URLSearchParams(location.search).has('test');

// Both change when the drawing context is lost and everything is drawn anew.
let canvas = one('app');
let act = () => {};
let saved = null;
let stopped = false;

// The copy: an element for each node that egui tells of, at the place where it is drawn

const elements = new Map();

// By role: the element's name, its type or role, and where its text goes.
const KINDS = {
  button: ['button'],
  checkbox: ['input', 'checkbox'],
  radio: ['input', 'radio'],
  slider: ['input', 'range'],
  text: ['input', 'text'],
  area: ['textarea'],
  heading: ['h2'],
  label: ['span'],
};

const create = (node) => {
  const [name, type] = KINDS[node.role] ?? ['div'];
  const element = document.createElement(name);
  if (type) element.type = type;
  else if (!KINDS[node.role] && node.role !== 'group') element.setAttribute('role', node.role);
  element.id = `node-${node.id}`;
  element.tabIndex = -1;
  element.dataset.node = node.id;
  return element;
};

const attribute = (element, name, value) => {
  if (value === undefined || value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

const fill = (element, node, origin) => {
  const { role, label, value } = node;
  const [left, top, width, height] = node.at ?? [...origin, 0, 0];
  Object.assign(element.style, {
    left: `${left - origin[0]}px`,
    top: `${top - origin[1]}px`,
    width: `${width}px`,
    height: `${height}px`,
  });
  if (role === 'slider') {
    if (node.min !== undefined) [element.min, element.max] = [node.min, node.max];
    element.step = node.step ?? 'any';
    if (document.activeElement !== element && node.number !== undefined) element.value = node.number;
    attribute(element, 'aria-valuetext', value ?? node.number);
  } else if (role === 'text' || role === 'area') {
    if (document.activeElement !== element) element.value = value ?? '';
    attribute(element, 'placeholder', node.hint);
  } else if (role === 'checkbox' || role === 'radio') {
    element.checked = node.on === true;
    element.indeterminate = node.on === null;
  } else if (role === 'label' || role === 'heading' || role === 'cell' || role === 'columnheader') {
    const text = value ?? label ?? '';
    // Its lines are among its children, and say nothing by themselves.
    if (element.textContent !== text) element.textContent = text;
  } else if (role === 'button') {
    const text = [label, value].filter(Boolean).join(': ');
    if (element.textContent !== text) element.textContent = text;
    attribute(element, 'aria-pressed', node.on);
    attribute(element, 'aria-expanded', node.open);
    attribute(element, 'aria-haspopup', node.popup);
  } else if (role === 'tab' || role === 'option') {
    attribute(element, 'aria-selected', node.on ?? false);
  }
  const named = !['label', 'heading', 'button', 'cell', 'columnheader'].includes(role);
  attribute(element, 'aria-label', named ? label || (role === 'group' ? null : value) : null);
  if (role === 'group') attribute(element, 'role', label ? 'group' : null);
  attribute(element, 'aria-description', node.about);
  if ('disabled' in element) element.disabled = node.disabled === true;
  else attribute(element, 'aria-disabled', node.disabled);
};

const draw = ({ root, focus, nodes }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const used = new Set();
  const place = (id, parent, origin, index) => {
    const node = byId.get(id);
    if (!node || used.has(id)) return index;
    used.add(id);
    let element = elements.get(id);
    if (!element || element.dataset.role !== node.role) {
      element?.remove();
      element = create(node);
      element.dataset.role = node.role;
      elements.set(id, element);
    }
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
    fill(element, node, origin);
    const inner = node.at ?? origin;
    let child = 0;
    for (const next of node.children ?? []) child = place(next, element, inner, child);
    return index + 1;
  };
  place(root, mirror, [0, 0], 0);
  for (const [id, element] of elements) {
    if (!used.has(id)) {
      element.remove();
      elements.delete(id);
    }
  }
  attribute(canvas, 'aria-activedescendant', elements.has(focus) && focus !== root ? `node-${focus}` : null);
  // egui types through an element of its own beside the canvas.
  const typing = canvas.nextElementSibling;
  if (typing?.tagName === 'INPUT') attribute(typing, 'aria-label', byId.get(focus)?.label ?? 'Text');
};

const target = (event) => event.target.closest?.('[data-node]')?.dataset.node;
const answer = (event, action, value) => {
  const id = target(event);
  if (id) act(JSON.stringify({ id, action, value }));
};
mirror.addEventListener('click', (event) => answer(event, 'click'));
mirror.addEventListener('focusin', (event) => {
  answer(event, 'focus');
  if (!['INPUT', 'TEXTAREA'].includes(event.target.tagName)) canvas.focus({ preventScroll: true });
});
mirror.addEventListener('input', (event) => {
  const { type, value, tagName } = event.target;
  if (type === 'range') answer(event, 'number', Number(value));
  else if (type === 'text' || tagName === 'TEXTAREA') answer(event, 'text', value);
});

// What goes on, in words: at most one message in five seconds, the newest

const SILENCE = 5000;
let spoken = -SILENCE;
let words = '';
let waiting = null;
const speak = () => {
  waiting = null;
  if (one('said').textContent === words) return;
  spoken = performance.now();
  one('said').textContent = words;
};

// The keyboard

const inCanvas = () => document.activeElement === canvas || document.activeElement === canvas.nextElementSibling;
addEventListener('keydown', (event) => {
  if (event.key !== 'F6') return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (inCanvas()) one('before').focus();
  else enter();
}, true);
const enter = (back = false) => {
  canvas.focus({ preventScroll: true });
  act(JSON.stringify({ action: 'enter', value: back }));
};
one('before').onclick = () => enter();
one('after').onclick = () => enter();
// A Tab into the canvas goes on to its first control, a Shift+Tab to its last.
for (const [id, back] of [['before', false], ['after', true]]) {
  one(id).addEventListener('keydown', (event) => {
    if (event.key !== 'Tab' || event.shiftKey !== back) return;
    event.preventDefault();
    enter(back);
  });
}

// A long text that is pasted is as good as a file that is dropped: no field could show it, and the worker reads it.

const LONG = 100_000;
addEventListener('paste', (event) => {
  const text = event.clipboardData?.getData('text') ?? '';
  if (text.length <= LONG) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const given = new DataTransfer();
  given.items.add(new File([text], 'pasted.txt', { type: 'text/plain' }));
  canvas.dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
}, true);

// The drawing context

const watch = () => {
  canvas.setAttribute('role', 'application');
  canvas.setAttribute('aria-label', 'Crossover playground');
  canvas.setAttribute('aria-owns', 'mirror');
  canvas.addEventListener('webglcontextlost', (event) => {
    event.preventDefault();
    if (canvas === event.target && !stopped) rebuild();
  });
};
let rebuild = () => {};

const stop = () => {
  stopped = true;
  document.body.classList.remove('app');
  canvas.hidden = one('before').hidden = one('after').hidden = true;
  mirror.replaceChildren();
  elements.clear();
  const kept = saved === null ? '' : ` Run saved at ${saved.toLocaleString('en')}.`;
  one('first').hidden = false;
  one('loading').hidden = true;
  one('problem').textContent = `The page stopped.${kept}`;
  const retry = one('retry');
  retry.hidden = false;
  retry.firstChild.textContent = 'Reload';
  retry.firstChild.onclick = () => location.reload();
};

const keep = () => navigator.serviceWorker?.register(new URL('sw.js', document.baseURI)).catch(() => {});

// What the program calls.
globalThis.crossoverPage = {
  // Everything the page asks of the program.
  connect(program) {
    act = program.act;
    rebuild = program.rebuild;
    globalThis.crossover = { state: () => JSON.parse(program.state()) };
    if (testing) Object.assign(globalThis.crossover, program.faults);
  },
  canvas: () => canvas,
  // Another canvas in place of one whose context is lost.
  replace() {
    const fresh = document.createElement('canvas');
    fresh.id = canvas.id;
    canvas.replaceWith(fresh);
    canvas = fresh;
    watch();
    return canvas;
  },
  // The first picture can be seen.
  shown() {
    if (stopped || performance.getEntriesByName('canvas').length) return;
    performance.mark('canvas');
    canvas.classList.remove('unready');
    document.body.classList.add('app');
    one('before').hidden = one('after').hidden = false;
    crossoverFirst.leave();
    canvas.focus({ preventScroll: true });
    if (document.readyState === 'complete') keep();
    else addEventListener('load', keep);
  },
  // It can't be drawn here.
  failed() {
    canvas.hidden = true;
    crossoverFirst.unable();
  },
  stopped: stop,
  draw: (tree) => draw(JSON.parse(tree)),
  say(text) {
    if (text === words) return;
    words = text;
    waiting ??= setTimeout(speak, Math.max(0, spoken + SILENCE - performance.now()));
  },
  saved(step) {
    saved = step ?? null;
  },
  title(text) {
    if (document.title !== text) document.title = text;
  },
  // The page's address without its query: settings may follow it.
  link() {
    return location.origin + location.pathname + location.hash;
  },
  calm() {
    return matchMedia('(prefers-reduced-motion: reduce)').matches;
  },
  // [name, bytes], or [name, what went wrong], or null.
  pick(accept) {
    return new Promise((resolve) => {
      const input = document.createElement('input');
      input.type = 'file';
      input.accept = accept;
      input.addEventListener('cancel', () => resolve(null));
      input.addEventListener('change', async () => {
        const [file] = input.files;
        if (!file) return resolve(null);
        try {
          resolve([file.name, new Uint8Array(await file.arrayBuffer())]);
        } catch (error) {
          resolve([file.name, String(error)]);
        }
      });
      input.click();
    });
  },
  download(name, bytes) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([bytes]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  },
  theme(dark) {
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  },
  // After the frame that is being drawn: egui is told of a lost focus, and must not be at work then.
  leave(forward) {
    setTimeout(() => one(forward ? 'after' : 'before').focus());
  },
};
watch();
