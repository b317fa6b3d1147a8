/** What a worker with another runtime answers. */

export interface Runtime {
  /**
   * Load the model.
   *
   * @param base Address of the folder of this page, which holds the models.
   */
  load(base: string, threads: number): Promise<void>;
  /** Run one picture, (size, size, 3) RGB 0..255 flattened, and return its logits. */
  run(pixels: Uint8Array, size: number): Promise<Float32Array>;
}

/** Posted by a worker once it listens: what is said to it before is lost. */
export const LISTENING = "listening";
