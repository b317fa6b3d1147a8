/** onnxruntime-web, with WebAssembly. */

import { expose } from "comlink";
import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import factory from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import binary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";

import { LISTENING, type Runtime } from "./runtime";

let session: InferenceSession;

const runtime: Runtime = {
  async load(base, threads) {
    env.wasm.numThreads = threads;
    env.wasm.wasmPaths = { mjs: new URL(factory, import.meta.url).href, wasm: new URL(binary, import.meta.url).href };
    session = await InferenceSession.create(new URL("model.onnx", base).href, { executionProviders: ["wasm"] });
  },

  async run(pixels, size) {
    const input = new Tensor("float32", Float32Array.from(pixels), [1, size, size, 3]);
    const { logits } = await session.run({ picture: input });
    return Float32Array.from((await logits!.getData()) as Float32Array);
  },
};

expose(runtime);
postMessage(LISTENING);
