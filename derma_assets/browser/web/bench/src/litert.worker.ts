/** LiteRT.js, with WebAssembly (XNNPACK). Runs in a classic worker: it loads its script with `importScripts`. */

import { loadAndCompile, loadLiteRt, Tensor, type CompiledModel } from "@litertjs/core";
import { expose } from "comlink";

import { LISTENING, type Runtime } from "./runtime";

/** What LiteRT.js's script looks at where it cannot tell its own address, as in a worker that starts from a blob. */
interface ScriptOptions {
  Module?: { locateFile: (name: string) => string; mainScriptUrlOrBlob: string };
}

let model: CompiledModel;

const runtime: Runtime = {
  async load(base, threads) {
    const file = (name: string): string => new URL(name, base).href;
    (globalThis as ScriptOptions).Module = {
      locateFile: file,
      mainScriptUrlOrBlob: file("litert_wasm_threaded_internal.js"),
    };
    await loadLiteRt(base, { threads: threads > 1 });
    model = await loadAndCompile(file("model.tflite"), { accelerator: "wasm", cpuOptions: { numThreads: threads } });
  },

  async run(pixels, size) {
    const input = new Tensor(Float32Array.from(pixels), [1, size, size, 3]);
    const outputs = await model.run(input);
    const logits = Float32Array.from((await outputs[0]!.data()) as Float32Array);
    for (const tensor of [input, ...outputs]) tensor.delete();
    return logits;
  },
};

expose(runtime);
postMessage(LISTENING);
