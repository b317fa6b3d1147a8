/** A model in a worker of its own, with one back end. */

import type { Manifest } from "../manifest";
import type { BackendChoice, ModelWorker, Outputs } from "./model.worker";
import modelWorkerUrl from "./model.worker.ts?worker&url";
import type { Download } from "./modelFiles";
import { spawn, type Spawned } from "./spawn";

export class Loaded {
  /** How long one view takes, as measured so far. */
  milliseconds = Infinity;

  private constructor(
    readonly choice: BackendChoice,
    private readonly worker: Spawned<ModelWorker>,
  ) {}

  /** Start a worker for a back end; `load` makes it ready. */
  static spawn(choice: BackendChoice): Loaded {
    return new Loaded(choice, spawn<ModelWorker>(new URL(modelWorkerUrl, import.meta.url).href));
  }

  /** Load the model of a bundle; the worker is gone when that fails. Rejects with EngineError. */
  async load(manifest: Manifest, base: string, progress: (download: Download) => void): Promise<void> {
    try {
      await this.worker.answer(this.worker.remote.load(manifest, base, this.choice, progress));
    } catch (error) {
      this.terminate();
      throw error;
    }
  }

  /**
   * Run the first `views` flips and turns of a picture, and learn how long that takes.
   *
   * @param pixels (size, size, 3) bytes RGB.
   */
  async classify(pixels: Uint8Array, views: number): Promise<Outputs> {
    const started = performance.now();
    const outputs = await this.worker.answer(this.worker.remote.runViews(pixels, views));
    const each = (performance.now() - started) / views;
    // First runs are slower than those that follow, a busy device slower than an idle one: the latest count most.
    this.milliseconds = Math.min(each, Number.isFinite(this.milliseconds) ? (this.milliseconds + each) / 2 : each);
    return outputs;
  }

  /** Run n pictures as they are, (n, size, size, 3) flattened. */
  run(pixels: Float32Array): Promise<Outputs> {
    return this.worker.answer(this.worker.remote.run(pixels));
  }

  tensors(): Promise<number> {
    return this.worker.answer(this.worker.remote.tensors());
  }

  /** Stop the worker; whoever waits for an answer of it gets an EngineError. */
  terminate(): void {
    this.worker.terminate();
  }
}
