/** Which back end runs the model: the one that was measured to be the fastest on this device, and that computes the same. */

import type { BackendChoice, Outputs } from "./model.worker";

/** What every device can run, and what the others are measured against. */
export const BASELINE: BackendChoice = { name: "wasm", threads: 1 };

/** More threads than this have not been seen to pay for pictures this small. */
const MOST_THREADS = 4;

/** Return what this device may run faster than the baseline, the likeliest first. */
export function candidates(): BackendChoice[] {
  const found: BackendChoice[] = [];
  const cores = navigator.hardwareConcurrency ?? 1;
  if (globalThis.crossOriginIsolated) {
    for (let threads = 2; threads <= Math.min(cores, MOST_THREADS); threads *= 2) {
      found.push({ name: "wasm-threads", threads });
    }
  }
  if ("gpu" in navigator) found.push({ name: "webgpu", threads: 1 });
  found.push({ name: "webgl", threads: 1 });
  return found;
}

/** Runs of each model in a trial; the fastest run of each counts, since whatever else the device does only slows. */
export const TRIAL_RUNS = 5;

/** A change of back end must pay: below this ratio of its time to the other's a candidate is taken. */
const WORTH_IT = 0.9;

/** Logits may differ by this much: graphics processors round differently, and some compute with half the bits. */
const LOGITS_TOLERANCE = 0.05;

/** One side of a trial: its fastest run, and what it computed of the probe. */
export interface Trial {
  milliseconds: number;
  outputs: Outputs;
}

/** Return whether a candidate is faster and computes the same. */
export function wins(candidate: Trial, current: Trial): boolean {
  const faster = candidate.milliseconds < current.milliseconds * WORTH_IT;
  return faster && agrees(candidate.outputs, current.outputs);
}

function agrees(one: Outputs, other: Outputs): boolean {
  return one.logits.every((logit, index) => Math.abs(logit - other.logits[index]!) <= LOGITS_TOLERANCE);
}

/** A picture to measure with: stripes and blots, so that no part of the model is idle. */
export function probe(size: number): Uint8Array {
  return Uint8Array.from({ length: size * size * 3 }, (_, index) => {
    const pixel = Math.floor(index / 3);
    const [x, y] = [pixel % size, Math.floor(pixel / size)];
    return 128 + 60 * Math.sin((x * (1 + (index % 3))) / 7) + 60 * Math.cos((y * x) / (9 * size));
  });
}

/**
 * What was measured slower, or wrong, on this device before; not tried again with the same model. Threads are measured
 * anew each time: whether they pay depends on what else the device does.
 */
export class TrialMemory {
  private readonly key: string;

  /** @param version What identifies model and page. */
  constructor(version: string) {
    this.key = `derma-slower-backends:${version}`;
  }

  knowsAsSlower(choice: BackendChoice): boolean {
    return this.read().includes(choice.name);
  }

  remember(choice: BackendChoice): void {
    if (choice.name === "wasm-threads") return;
    try {
      localStorage.setItem(this.key, JSON.stringify([...new Set([...this.read(), choice.name])]));
    } catch {
      // A browser that keeps nothing measures again.
    }
  }

  private read(): string[] {
    try {
      return JSON.parse(localStorage.getItem(this.key) ?? "[]") as string[];
    } catch {
      return [];
    }
  }
}
