/**
 * The app's way with a picture, with another runtime in the place of TF.js: the same workers, the same decoding.
 *
 * Named in the address: `runtime` (`onnx` or `litert`), `threads`, and `size`, the side of the model's input.
 */

import { wrap, type Remote } from "comlink";

import type { PictureWorker } from "../../src/engine/picture.worker";
import pictureWorkerUrl from "../../src/engine/picture.worker.ts?worker&url";
import { spawn } from "../../src/engine/spawn";
import { startCrop } from "../../src/engine/types";
import litertUrl from "./litert.worker.ts?worker&url";
import onnxUrl from "./onnx.worker.ts?worker&url";
import { LISTENING, type Runtime } from "./runtime";

const WORKERS: Record<string, { url: string; type: WorkerType }> = {
  onnx: { url: onnxUrl, type: "module" },
  litert: { url: litertUrl, type: "classic" },
};

const asked = new URLSearchParams(location.search);
const [threads, size] = [Number(asked.get("threads")), Number(asked.get("size"))];

const pictures = spawn<PictureWorker>(new URL(pictureWorkerUrl, import.meta.url).href);
const loading = load(asked.get("runtime") ?? "");

async function load(name: string): Promise<Remote<Runtime>> {
  const chosen = WORKERS[name];
  if (!chosen) throw new Error(`no runtime ${name}`);
  const { url, type } = chosen;
  const script = `import(${JSON.stringify(new URL(url, import.meta.url).href)});`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type });
  await new Promise<void>((resolve, reject) => {
    worker.addEventListener("error", ({ message }) => reject(new Error(`${name} did not start: ${message}`)));
    worker.addEventListener("message", ({ data }) => data === LISTENING && resolve());
  });
  const runtime = wrap<Runtime>(worker);
  await runtime.load(new URL("./", document.baseURI).href, threads);
  return runtime;
}

/** As far as the benchmark needs it, what the app's page has under this name. */
const derma = {
  ready: loading.then(() => undefined),
  async analyse(file: Blob): Promise<{ prediction: { logits: Float32Array } }> {
    const { id, width, height, preview } = await pictures.remote.open(file);
    const [runtime, { pixels }] = await Promise.all([
      loading,
      pictures.remote.prepare(id, startCrop(width, height), size),
    ]);
    preview.close();
    void pictures.remote.close(id);
    return { prediction: { logits: await runtime.run(pixels, size) } };
  },
};

Object.assign(window, { derma });
