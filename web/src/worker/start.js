// Loads the worker's program and serves the lab on a port: in a worker its own, in the page one that the page gives.
// `cargo xtask web` puts the hashed names and the program's size in the places of these three.
import init, { serve } from "./worker.js";
const PROGRAM = "./worker_bg.wasm";
const SIZE = 0;

// The device that the program's GPU library asks for, so that its loss is heard and tests can lose it.
globalThis.crossoverDevice = null;
const adapter = globalThis.GPUAdapter?.prototype;
if (adapter) {
  const request = adapter.requestDevice;
  adapter.requestDevice = async function (...given) {
    const device = await request.apply(this, given);
    globalThis.crossoverDevice = device;
    return device;
  };
}

const tell = (port, message) => port.postMessage([JSON.stringify([message])]);

export async function start(port) {
  const loading = { loaded: 0, total: SIZE };
  try {
    const response = await fetch(new URL(PROGRAM, import.meta.url));
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    const [own, counted] = [response.clone(), response.body.getReader()];
    const count = async () => {
      let told = 0;
      for (;;) {
        const { done, value } = await counted.read();
        if (done) break;
        loading.loaded += value.byteLength;
        if (performance.now() - told > 200) {
          told = performance.now();
          tell(port, { loading });
        }
      }
      loading.total = loading.loaded;
    };
    await Promise.all([init({ module_or_path: own }), count()]);
    serve(port);
  } catch (error) {
    tell(port, { unreachable: { loading, detail: String(error) } });
  }
}

if (typeof WorkerGlobalScope !== "undefined" && globalThis instanceof WorkerGlobalScope) start(globalThis);
