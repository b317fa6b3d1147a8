/** `window.derma`: the page's own functions, for tests, the parity check and the latency benchmark. */

import type { Manifest } from "../manifest";
import { BASELINE, candidates } from "./backends";
import type { BrowserEngine } from "./client";
import type { Loaded } from "./loaded";
import type { BackendChoice, BackendName, Outputs } from "./model.worker";
import { startCrop, type Analysis, type Engine, type OpenedPicture } from "./types";

export interface TestInterface {
  /** Resolves when the model is loaded, and rejects with what is wrong. */
  ready: Promise<void>;
  manifest(): Promise<Manifest>;
  engine: Engine;
  /** The back ends that may be tried here; `wasm` is always one. */
  backends(): BackendName[];
  /** The model's input for the centre square of a picture: (size, size, 3) RGB 0..255 flattened. */
  preprocess(file: Blob): Promise<Float32Array>;
  /** Run n such inputs with a back end, the page's current one unless told. */
  predictTensor(pixels: Float32Array, options?: { backend?: BackendName }): Promise<Outputs>;
  /** What the page would show of a picture's centre square, without showing it. */
  analyse(file: Blob, options?: { backend?: BackendName; views?: number }): Promise<Analysis>;
  /** How many tensors the running back end holds. */
  tensors(): Promise<number>;
}

declare global {
  interface Window {
    derma: TestInterface;
  }
}

/** Return the interface of an engine. */
export function testInterface(engine: BrowserEngine): TestInterface {
  const others = new Map<BackendName, Promise<Loaded>>();
  const choices = (): BackendChoice[] => [BASELINE, ...candidates()];
  // Of several numbers of threads the largest.
  const choice = (name: BackendName): BackendChoice => {
    const found = choices().filter((one) => one.name === name).at(-1);
    if (!found) throw new Error(`${name} cannot be tried in this browser`);
    return found;
  };

  const other = async (name: BackendName): Promise<Loaded> => {
    const classifier = await engine.classifier;
    const found = others.get(name) ?? classifier.with(choice(name));
    others.set(name, found);
    return found;
  };

  const opened = async <Result>(file: Blob, use: (picture: OpenedPicture) => Promise<Result>): Promise<Result> => {
    const picture = await engine.open(file);
    try {
      return await use(picture);
    } finally {
      engine.close(picture);
    }
  };

  return {
    ready: engine.ready,
    manifest: () => engine.manifest,
    engine,
    backends: () => [...new Set(choices().map(({ name }) => name))],
    preprocess: async (file) => {
      const manifest = await engine.manifest;
      const input = await opened(file, (picture) =>
        engine.prepare(picture.id, startCrop(picture.width, picture.height), manifest),
      );
      return Float32Array.from(input.pixels);
    },
    predictTensor: async (pixels, options = {}) =>
      options.backend ? (await other(options.backend)).run(pixels) : (await engine.classifier).run(pixels),
    analyse: async (file, options = {}) => {
      if (options.backend) await (await engine.classifier).use(choice(options.backend));
      return opened(file, (picture) => engine.analyse(picture, startCrop(picture.width, picture.height), options.views));
    },
    tensors: async () => (await engine.classifier).tensors(),
  };
}
