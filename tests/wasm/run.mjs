// node run.mjs PROBE.wasm CASES.json: what the wasm build makes of each case, as JSON.
// node run.mjs PROBE.wasm: the texts that its samplers write, as JSON lines.
// A case is {"name", "text", "texts"}: a tokenizer's name, its text, and the texts to encode, as arrays of bytes.

import { readFileSync } from "node:fs";

const [, , wasm, cases] = process.argv;
const module = new WebAssembly.Module(readFileSync(wasm));
const imports = {};
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  // The seeds of hash maps are all that the tokenizers ask of a browser.
  imports[from][name] = name.includes("getRandomValues")
    ? (at, length) => void crypto.getRandomValues(new Uint8Array(probe.memory.buffer, at, length))
    : () => { throw new Error(`the module calls \`${name}\``); };
}
const probe = new WebAssembly.Instance(module, imports).exports;

function put(bytes) {
  const at = probe.allocate(bytes.length);
  new Uint8Array(probe.memory.buffer, at, bytes.length).set(bytes);
  return [at, bytes.length];
}

function taken(packed) {
  const [at, length] = [packed >> 32n, packed & 0xffffffffn].map((half) => Number(BigInt.asUintN(32, half)));
  return probe.memory.buffer.slice(at, at + length);
}

function text(packed) {
  return new TextDecoder().decode(taken(packed));
}

function tokenized({ name, text: source, texts }) {
  probe.make(...put(new TextEncoder().encode(name)), ...put(source));
  return {
    json: text(probe.json()),
    ids: texts.map((text) => Array.from(new Uint32Array(taken(probe.encode(...put(text)))))),
  };
}

process.stdout.write(
  cases === undefined ? text(probe.texts()) : JSON.stringify(JSON.parse(readFileSync(cases, "utf8")).map(tokenized)),
);
