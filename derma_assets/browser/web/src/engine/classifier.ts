/** The model as the page asks for it: one worker that answers, and others that are tried beside it. */

import { proxy } from "comlink";

import type { Manifest } from "../manifest";
import { BASELINE, candidates, probe, TRIAL_RUNS, TrialMemory, wins, type Trial } from "./backends";
import { Loaded } from "./loaded";
import type { BackendChoice, Outputs } from "./model.worker";
import type { Download } from "./modelFiles";

/** A candidate that needs so many times the other's time is given up at once. */
const HOPELESS = 4;
/** Nor is one waited for longer than this, start included, in milliseconds. */
const LONGEST_TRIAL = 15_000;

export class Classifier {
  private asked = 0;
  private trial: Loaded | null = null;
  private chosen = false;

  private constructor(
    private readonly manifest: Manifest,
    private readonly base: string,
    private current: Loaded,
  ) {}

  /**
   * Load the model with the back end that every device has. Rejects with EngineError.
   *
   * @param awaited The manifest; the worker's own script is loaded meanwhile.
   */
  static async start(
    awaited: Promise<Manifest>,
    base: string,
    progress: (download: Download) => void,
  ): Promise<Classifier> {
    const current = Loaded.spawn(BASELINE);
    try {
      const manifest = await awaited;
      await current.load(manifest, base, proxy(progress));
      return new Classifier(manifest, base, current);
    } catch (error) {
      current.terminate();
      throw error;
    }
  }

  get choice(): BackendChoice {
    return this.current.choice;
  }

  /** The largest number of views that fits into the manifest's time budget, as measured so far; one until then. */
  affordableViews(): number {
    const { milliseconds } = this.current;
    const fitting = this.manifest.views.filter(({ count }) => count * milliseconds <= this.manifest.time_budget_ms);
    return Math.max(1, ...fitting.map(({ count }) => count));
  }

  /**
   * Run the first `views` flips and turns of a picture.
   *
   * @param pixels (size, size, 3) bytes RGB.
   */
  classify(pixels: Uint8Array, views: number): Promise<Outputs> {
    this.asked += 1;
    // A person waits: a trial beside would take half of the device.
    this.trial?.terminate();
    return this.current.classify(pixels, views);
  }

  /** The same model with a back end of one's choice; the caller terminates it. */
  async with(choice: BackendChoice): Promise<Loaded> {
    const other = Loaded.spawn(choice);
    await other.load(this.manifest, this.base, proxy(() => undefined));
    return other;
  }

  /** Go over to a back end of one's choice, and stay with it. */
  async use(choice: BackendChoice): Promise<void> {
    this.chosen = true;
    if (choice.name === this.choice.name) return;
    const other = await this.with(choice);
    this.current.terminate();
    this.current = other;
    await this.warmUp();
  }

  /** Measure how long a view takes, unless a picture comes meanwhile. */
  async warmUp(): Promise<void> {
    const pixels = probe(this.manifest.preprocessing.size);
    const asked = this.asked;
    for (let run = 0; run < TRIAL_RUNS && asked === this.asked; run++) await this.current.classify(pixels, 1);
  }

  /**
   * Try what may be faster on this device, and go over to it if it is and computes the same.
   *
   * Returns false when a picture came meanwhile: then nothing was decided, and it should be tried again.
   */
  async tryFaster(): Promise<boolean> {
    const memory = new TrialMemory(this.manifest.versions.data["tfjs_model"] ?? "");
    for (const choice of candidates()) {
      if (this.chosen || memory.knowsAsSlower(choice)) continue;
      const asked = this.asked;
      const candidate = (this.trial = Loaded.spawn(choice));
      const timeout = setTimeout(() => candidate.terminate(), LONGEST_TRIAL);
      // What does not start, dies or is terminated has lost, whatever the reason.
      const won = await this.race(candidate).catch(() => false);
      clearTimeout(timeout);
      this.trial = null;
      if (won && asked === this.asked) {
        this.current.terminate();
        this.current = candidate;
        continue;
      }
      candidate.terminate();
      if (asked !== this.asked) return false;
      memory.remember(choice);
    }
    return true;
  }

  private async race(candidate: Loaded): Promise<boolean> {
    await candidate.load(this.manifest, this.base, proxy(() => undefined));
    const pixels = probe(this.manifest.preprocessing.size);
    const ours: Trial = { milliseconds: Infinity, outputs: await this.current.classify(pixels, 1) };
    const theirs: Trial = { milliseconds: Infinity, outputs: await candidate.classify(pixels, 1) };
    // Turn by turn, so that whatever else the device does slows both.
    for (let run = 0; run < TRIAL_RUNS; run++) {
      for (const [trial, model] of [[ours, this.current], [theirs, candidate]] as const) {
        const started = performance.now();
        trial.outputs = await model.classify(pixels, 1);
        trial.milliseconds = Math.min(trial.milliseconds, performance.now() - started);
      }
      if (theirs.milliseconds > HOPELESS * ours.milliseconds) return false;
    }
    return wins(theirs, ours);
  }

  /** Run n pictures as they are, (n, size, size, 3) flattened. */
  run(pixels: Float32Array): Promise<Outputs> {
    return this.current.run(pixels);
  }

  /** How many tensors the back end holds. */
  tensors(): Promise<number> {
    return this.current.tensors();
  }
}
