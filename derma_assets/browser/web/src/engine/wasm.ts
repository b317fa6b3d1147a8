/** TF.js's WebAssembly back end: the fastest variant that the browser can run, with as many threads as asked for. */

import wasmPlain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import wasmSimd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import wasmThreadedSimd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url";
import { setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm/dist/base";
import { env, setBackend } from "@tensorflow/tfjs-core";

import { patientFetch } from "./patientFetch";
import { EngineError } from "./types";
import "./wasmKernels";

/** TF.js hangs without a word when its threads cannot start, for example because a policy forbids them. */
const LONGEST_START = 20_000;

/**
 * Make the back end ready.
 *
 * @param threads How many threads; 1 takes the variant without threads.
 * @throws EngineError the browser has no WebAssembly, or the back end does not start.
 */
export async function startWasm(threads: number, waiting: (is: boolean) => void): Promise<void> {
  env().set("WASM_HAS_MULTITHREAD_SUPPORT", threads > 1);
  if (threads > 1) {
    setThreadsCount(threads);
    // TF.js never takes more threads than half of what it believes to be the cores.
    Object.defineProperty(navigator, "hardwareConcurrency", { value: 2 * threads });
  }
  const simd = await env().getAsync("WASM_HAS_SIMD_SUPPORT");
  const url = absolute(threads > 1 ? wasmThreadedSimd : simd ? wasmSimd : wasmPlain);
  const binary = await patientFetch(url, () => undefined, waiting);
  // TF.js would fetch by itself, but only once: on a line that breaks, its answer would be "no WebAssembly".
  env().platform.fetch = () => Promise.resolve(new Response(binary));
  setWasmPaths(
    {
      "tfjs-backend-wasm.wasm": url,
      "tfjs-backend-wasm-simd.wasm": url,
      "tfjs-backend-wasm-threaded-simd.wasm": url,
    },
    true,
  );
  const started = await Promise.race([
    setBackend("wasm"),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), LONGEST_START)),
  ]).catch(() => false);
  if (!started) throw new EngineError({ code: "no_webassembly", detail: `${threads} threads` });
}

function absolute(path: string): string {
  return new URL(path, import.meta.url).href;
}
