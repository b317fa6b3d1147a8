/** The worker that runs the model, so that the page never freezes. */

import "@tensorflow/tfjs-converter/dist/flags";
import { GraphModel } from "@tensorflow/tfjs-converter/dist/executor/graph_model";
import { dispose, memory, setBackend, tensor4d, type Tensor } from "@tensorflow/tfjs-core";
import { expose } from "comlink";

import type { Manifest } from "../manifest";
import { readGraph } from "./graph";
import { modelFiles, type Download } from "./modelFiles";
import { EngineError } from "./types";
import { dihedralViews } from "./views";
import { startWasm } from "./wasm";

export type BackendName = "wasm" | "wasm-threads" | "webgl" | "webgpu";

export interface BackendChoice {
  name: BackendName;
  /** How many threads `wasm-threads` takes. */
  threads: number;
}

/** What the model computes of n pictures. */
export interface Outputs {
  /** (n, classes) flattened. */
  logits: Float32Array;
  /** (n, height, width, classes) flattened; the mean over height and width is `logits`. */
  cams: Float32Array;
  /** Height and width of the class activation maps. */
  grid: [number, number];
  /** (n) */
  unfamiliarity: Float32Array;
}

let graph: GraphModel;
let outputs: [string, string, string];
let size: number;

const worker = {
  /**
   * Load the model of a bundle and make a back end ready.
   *
   * @throws EngineError
   */
  async load(
    manifest: Manifest,
    base: string,
    backend: BackendChoice,
    progress: (download: Download) => void,
  ): Promise<void> {
    // The last report may come from the back end's own file while the model's are complete.
    const download: Download = { loadedBytes: 0, totalBytes: 0, waiting: false };
    const report = (change: Partial<Download>): void => progress(Object.assign(download, change));
    const [files] = await Promise.all([
      modelFiles(manifest, base, report),
      start(backend, (waiting) => report({ waiting })),
    ]);
    const read = readGraph(manifest.model.topology, files);
    outputs = [read.outputs.logits, read.outputs.cams, read.outputs.unfamiliarity];
    size = manifest.preprocessing.size;
    graph = new GraphModel({ load: () => Promise.resolve(read.artifacts) });
    await graph.load();
  },

  /**
   * Run n pictures.
   *
   * @param pixels (n, size, size, 3) RGB 0..255 flattened.
   */
  async run(pixels: Float32Array): Promise<Outputs> {
    const length = size * size * 3;
    if (pixels.length === 0 || pixels.length % length) {
      throw new Error(`The model takes pictures of ${length} numbers each, but got ${pixels.length}.`);
    }
    const input = tensor4d(pixels, [pixels.length / length, size, size, 3]);
    const results = graph.execute(input, outputs) as [Tensor, Tensor, Tensor];
    try {
      const [logits, cams, unfamiliarity] = results;
      // A copy each: what the back end gives may be a window on its own memory.
      return {
        logits: Float32Array.from(await logits.data()),
        cams: Float32Array.from(await cams.data()),
        grid: [cams.shape[1]!, cams.shape[2]!],
        unfamiliarity: Float32Array.from(await unfamiliarity.data()),
      };
    } finally {
      dispose([input, ...results]);
    }
  },

  /**
   * Run the first `views` flips and turns of one picture.
   *
   * @param pixels (size, size, 3) RGB 0..255 flattened.
   */
  runViews(pixels: Uint8Array, views: number): Promise<Outputs> {
    return worker.run(dihedralViews(pixels, size, views));
  },

  /** How many tensors the back end holds: constant, however many pictures were run. */
  tensors(): number {
    return memory().numTensors;
  },
};

export type ModelWorker = typeof worker;

async function start(backend: BackendChoice, waiting: (is: boolean) => void): Promise<void> {
  if (backend.name === "wasm") return startWasm(1, waiting);
  if (backend.name === "wasm-threads") return startWasm(backend.threads, waiting);
  // TF.js writes a page of warnings to the console where there is no graphics processor to be had.
  if (backend.name === "webgpu" && !(await hasGraphicsProcessor())) {
    throw new EngineError({ code: "unexpected", detail: "no graphics processor" });
  }
  await (backend.name === "webgl" ? import("./lazy-webgl") : import("./lazy-webgpu"));
  if (!(await setBackend(backend.name))) throw new EngineError({ code: "unexpected", detail: `no ${backend.name}` });
}

async function hasGraphicsProcessor(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<unknown> } };
  return Boolean(await gpu?.requestAdapter());
}

expose(worker);
