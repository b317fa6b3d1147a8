/** The model: fetched, checked against the manifest's SHA-256, run by TF.js's WebAssembly back end. */

import wasmPlain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import wasmSimd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { GraphModel, loadGraphModel } from "@tensorflow/tfjs-converter";
import { dispose, env, io, ready, setBackend, tensor4d, type Tensor } from "@tensorflow/tfjs-core";

import type { Manifest } from "./manifest";

export interface Prediction {
  /** (n, classes) flattened. */
  logits: Float32Array;
  /** (n, height, width, classes) flattened; the mean over height and width is `logits`. */
  cams: Float32Array;
  /** Height and width of the class activation maps. */
  grid: [number, number];
}

export class Model {
  private constructor(
    private readonly graph: GraphModel,
    private readonly outputs: [string, string],
    private readonly size: number,
  ) {}

  /**
   * Load the model that the manifest names.
   *
   * @param progress is told the share of bytes that has arrived, 0..1.
   * @throws if a file is missing or is not the one the manifest was made for.
   */
  static async load(manifest: Manifest, progress: (share: number) => void): Promise<Model> {
    const files = new Map<string, ArrayBuffer>();
    let done = 0;
    for (const path of manifest.model.files) {
      const bytes = await fetchBytes(path, (share) => progress((done + share) / manifest.model.files.length));
      await verify(path, bytes, manifest.files[path]);
      files.set(path, bytes);
      done += 1;
    }
    setWasmPaths({
      "tfjs-backend-wasm.wasm": absolute(wasmPlain),
      "tfjs-backend-wasm-simd.wasm": absolute(wasmSimd),
      // Never asked for, since threads are switched off below; the type wants it.
      "tfjs-backend-wasm-threaded-simd.wasm": absolute(wasmSimd),
    });
    // Threads need cross-origin isolation, which a plain static host does not give.
    env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    if (!(await setBackend("wasm"))) throw new Error("This browser cannot run WebAssembly. Use a newer browser.");
    await ready();

    const topology = JSON.parse(new TextDecoder().decode(files.get(manifest.model.topology)));
    const groups = topology.weightsManifest as io.WeightsManifestConfig;
    const folder = manifest.model.topology.replace(/[^/]*$/, "");
    const shards = groups.flatMap((group) => group.paths).map((path) => {
      const bytes = files.get(folder + path);
      if (!bytes) throw new Error(`The manifest does not list ${folder}${path}. The bundle is incomplete.`);
      return bytes;
    });
    const graph = await loadGraphModel(
      io.fromMemory({
        modelTopology: topology.modelTopology,
        signature: topology.signature,
        format: topology.format,
        weightSpecs: groups.flatMap((group) => group.weights),
        weightData: shards,
      }),
    );
    const { logits, cams } = topology.signature.outputs;
    const model = new Model(graph, [logits.name, cams.name], manifest.preprocessing.size);
    model.predict(new Float32Array(manifest.preprocessing.size ** 2 * 3)); // The first run prepares the kernels.
    return model;
  }

  /** Run pictures, (n, size, size, 3) float32 RGB 0..255 flattened. */
  predict(pixels: Float32Array): Prediction {
    const length = this.size * this.size * 3;
    if (pixels.length === 0 || pixels.length % length) {
      throw new Error(`The model takes pictures of ${length} numbers each, but got ${pixels.length}.`);
    }
    const input = tensor4d(pixels, [pixels.length / length, this.size, this.size, 3]);
    const [logits, cams] = this.graph.execute(input, this.outputs) as [Tensor, Tensor];
    try {
      return {
        logits: logits.dataSync() as Float32Array,
        cams: cams.dataSync() as Float32Array,
        grid: [cams.shape[1]!, cams.shape[2]!],
      };
    } finally {
      dispose([input, logits, cams]);
    }
  }
}

function absolute(path: string): string {
  return new URL(path, document.baseURI).href;
}

async function fetchBytes(path: string, progress: (share: number) => void): Promise<ArrayBuffer> {
  const response = await fetch(`./${path}`, { cache: "no-cache" });
  if (!response.ok || !response.body) {
    throw new Error(`${path} cannot be read (${response.status}). The bundle is incomplete.`);
  }
  const total = Number(response.headers.get("content-length")) || 0;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    received += part.value.length;
    if (total) progress(Math.min(received / total, 1));
  }
  return new Blob(parts).arrayBuffer();
}

/** Refuse a file whose content is not what the manifest says: a changed model would give wrong findings in silence. */
async function verify(path: string, bytes: ArrayBuffer, expected: string | undefined): Promise<void> {
  if (!crypto.subtle) {
    throw new Error("The model cannot be checked here: open the page over https, or on this computer itself.");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const actual = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (actual !== expected) {
    throw new Error(
      `The model file ${path} is damaged or was changed: its SHA-256 is not the manifest's. ` +
        "The model is not used. Put the complete bundle on the server again.",
    );
  }
}
