/** The engine: picture files go in, findings come out; two workers do the work. */

import { findings } from "../findings";
import type { Manifest } from "../manifest";
import { Classifier } from "./classifier";
import { limitsBroken } from "./guard";
import { loadManifest } from "./loadManifest";
import type { Download } from "./modelFiles";
import type { PictureWorker, PreparedInput } from "./picture.worker";
import pictureWorkerUrl from "./picture.worker.ts?worker&url";
import { asEngineError } from "./rpcErrors";
import { spawn, type Spawned } from "./spawn";
import { syntheticPhotograph } from "./syntheticPhotograph";
import {
  startCrop,
  type Analysis,
  type Crop,
  type DeviceMeasurement,
  type Engine,
  type EngineState,
  type OpenedPicture,
} from "./types";

/** Faster back ends are looked for when nothing was asked for so long, in milliseconds. */
const QUIET = 1500;
const WARM_UP_RUNS = 3;

/** Start the engine for the bundle that this page belongs to. */
export function createEngine(): BrowserEngine {
  return new BrowserEngine(new URL("./", document.baseURI).href);
}

export class BrowserEngine implements Engine {
  readonly manifest: Promise<Manifest>;
  readonly ready: Promise<void>;
  state: EngineState = { kind: "loading", loadedBytes: 0, totalBytes: 0, waiting: false };

  private readonly listeners = new Set<(state: EngineState) => void>();
  private readonly pictures: Spawned<PictureWorker>;
  private readonly loaded: Promise<Classifier>;
  private quiet: ReturnType<typeof setTimeout> | undefined;
  private working = 0;

  constructor(base: string) {
    this.pictures = spawn<PictureWorker>(new URL(pictureWorkerUrl, import.meta.url).href);
    this.manifest = loadManifest(base, import.meta.url, (waiting) => this.report({ waiting }));
    this.loaded = Classifier.start(this.manifest, base, (download) => this.report(download));
    this.ready = this.loaded.then(
      (classifier) => {
        this.becomeReady(classifier);
        // A picture that waits goes first, and warms up as well.
        if (this.working === 0) void classifier.warmUp().then(() => this.lookForFasterWhenQuiet());
      },
      (error: unknown) => {
        const { problem } = asEngineError(error);
        this.change({ kind: "failed", problem });
        throw asEngineError(error);
      },
    );
    this.ready.catch(() => undefined); // Whoever waits hears of it; nobody has to.
  }

  subscribe(listener: (state: EngineState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  open(file: Blob): Promise<OpenedPicture> {
    return this.pictures.answer(this.pictures.remote.open(file));
  }

  close(picture: OpenedPicture): void {
    picture.preview.close();
    void this.pictures.remote.close(picture.id);
  }

  async analyse(picture: OpenedPicture, crop: Crop, views?: number): Promise<Analysis> {
    clearTimeout(this.quiet);
    this.working += 1;
    try {
      const manifest = await this.manifest;
      // While the model is still being loaded, the picture can be made ready for it.
      const [input, classifier] = await Promise.all([
        timed(() => this.prepare(picture.id, crop, manifest)),
        this.loaded,
      ]);
      const started = performance.now();
      const count = views ?? classifier.affordableViews();
      const way = manifest.views.find((one) => one.count === count)!;
      const outputs = await classifier.classify(input.result.pixels, count);
      const measures = { ...input.result.quality, unfamiliarity: outputs.unfamiliarity[0]! };
      const classes = manifest.labels.length;
      const logits = meanOverViews(outputs.logits, count);
      return {
        findings: findings(logits, way, manifest.labels),
        prediction: {
          logits,
          cams: outputs.cams.slice(0, outputs.grid[0] * outputs.grid[1] * classes),
          grid: outputs.grid,
          views: count,
        },
        measures,
        refusals: limitsBroken(measures, manifest.guard.measures),
        crop,
        milliseconds: input.milliseconds + performance.now() - started,
        backend: classifier.choice.name,
      };
    } catch (error) {
      throw asEngineError(error);
    } finally {
      this.working -= 1;
      this.lookForFasterWhenQuiet();
    }
  }

  async measureDevice(runs: number, progress: (done: number) => void): Promise<DeviceMeasurement> {
    const classifier = await this.loaded;
    const file = await syntheticPhotograph();
    const milliseconds: number[] = [];
    let views = 1;
    for (let run = -WARM_UP_RUNS; run < runs; run++) {
      const started = performance.now();
      const picture = await this.open(file);
      const analysis = await this.analyse(picture, startCrop(picture.width, picture.height));
      if (run >= 0) milliseconds.push(performance.now() - started);
      this.close(picture);
      views = analysis.prediction.views;
      progress(Math.max(run + 1, 0));
    }
    return { milliseconds, backend: classifier.choice.name, threads: classifier.choice.threads, views };
  }

  /** Cut a square out of an open picture, as the model takes it. */
  prepare(id: number, crop: Crop, manifest: Manifest): Promise<PreparedInput> {
    return this.pictures.answer(this.pictures.remote.prepare(id, crop, manifest.preprocessing.size));
  }

  /** The running model. */
  get classifier(): Promise<Classifier> {
    return this.loaded;
  }

  private report(download: Partial<Download>): void {
    if (this.state.kind === "loading") this.change({ ...this.state, ...download });
  }

  private becomeReady(classifier: Classifier): void {
    this.change({ kind: "ready", backend: classifier.choice.name, threads: classifier.choice.threads });
  }

  private change(state: EngineState): void {
    this.state = state;
    for (const listener of this.listeners) listener(state);
  }

  private lookForFasterWhenQuiet(): void {
    clearTimeout(this.quiet);
    if (this.working > 0 || this.state.kind !== "ready") return;
    this.quiet = setTimeout(() => void this.lookForFaster(), QUIET);
  }

  private searched = false;

  private async lookForFaster(): Promise<void> {
    if (this.searched) return;
    this.searched = true;
    const classifier = await this.loaded;
    this.searched = await classifier.tryFaster();
    this.becomeReady(classifier);
  }
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; milliseconds: number }> {
  const started = performance.now();
  const result = await work();
  return { result, milliseconds: performance.now() - started };
}

function meanOverViews(logits: Float32Array, views: number): Float32Array {
  const classes = logits.length / views;
  return Float32Array.from({ length: classes }, (_, index) => {
    let sum = 0;
    for (let view = 0; view < views; view++) sum += logits[view * classes + index]!;
    return sum / views;
  });
}
