/** What the engine gives and takes: the page knows nothing else of workers, back ends and files. */

import type { Findings } from "../findings";
import type { Manifest } from "../manifest";

/** A square of the upright picture, in its own pixels: whole numbers, inside the picture. */
export interface Crop {
  left: number;
  top: number;
  side: number;
}

/** A picture that was decoded; its pixels stay with the engine until it is closed. */
export interface OpenedPicture {
  id: number;
  /** Upright size of the whole picture. */
  width: number;
  height: number;
  /** The whole picture, upright, its longer side at most `PREVIEW_SIDE`; owned by the receiver. */
  preview: ImageBitmap;
}

export const PREVIEW_SIDE = 1600;

/** Why a picture is refused: what was measured lies outside the limits that the manifest states. */
export type RefusalReason = "blurred" | "too_dark" | "too_bright" | "no_lesion" | "unfamiliar";

export interface Refusal {
  reason: RefusalReason;
  value: number;
  limit: number;
}

export interface Measures {
  sharpness: number;
  brightness: number;
  lesion_contrast: number;
  unfamiliarity: number;
}

export interface Prediction {
  /** (classes): mean over the views. */
  logits: Float32Array;
  /** (height, width, classes) flattened, of the picture as it stands; its mean over height and width is the logits of one view. */
  cams: Float32Array;
  /** Height and width of the class activation maps. */
  grid: [number, number];
  /** How many of the eight flips and turns were averaged. */
  views: number;
}

export interface Analysis {
  findings: Findings;
  prediction: Prediction;
  measures: Measures;
  /** Empty when the picture is fit to be judged. The findings of a refused picture must not be shown. */
  refusals: Refusal[];
  crop: Crop;
  /** From the decoded picture to the findings. */
  milliseconds: number;
  /** What computed it, for example `wasm` or `wasm-threads`. */
  backend: string;
}

/** What the person should be told about the engine. */
export type EngineState =
  | { kind: "loading"; loadedBytes: number; totalBytes: number; /** Set while waiting for the connection to come back. */ waiting: boolean }
  | { kind: "ready"; backend: string; threads: number }
  | { kind: "failed"; problem: Problem };

/** Something that went wrong, in a form the page can put into any language. */
export interface Problem {
  /** Key below `problems` of the texts. */
  code:
    | "manifest_missing"
    | "manifest_version"
    | "file_missing"
    | "file_damaged"
    | "no_webassembly"
    | "not_a_picture"
    | "picture_too_large"
    | "heic_failed"
    | "tiff_failed"
    | "out_of_memory"
    | "changed_meanwhile"
    | "unexpected";
  /** For example the file's name; shown as it is. */
  detail: string;
}

/** Thrown by everything in the engine. */
export class EngineError extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
  }
}

/** Warm runs on this device, each from a JPEG file to the findings. */
export interface DeviceMeasurement {
  milliseconds: number[];
  backend: string;
  threads: number;
  views: number;
}

export interface Engine {
  /** Resolves when the manifest is read, long before the model is loaded. Rejects with EngineError. */
  readonly manifest: Promise<Manifest>;
  /** Resolves when pictures can be analysed. Rejects with EngineError. */
  readonly ready: Promise<void>;
  readonly state: EngineState;
  /** Call `listener` on every change of `state`; returns what stops it. */
  subscribe(listener: (state: EngineState) => void): () => void;
  /** Decode a picture; does not wait for the model. Rejects with EngineError. */
  open(file: Blob): Promise<OpenedPicture>;
  /** Free a decoded picture. */
  close(picture: OpenedPicture): void;
  /** Classify a square of a picture; waits for the model. Rejects with EngineError. */
  analyse(picture: OpenedPicture, crop: Crop): Promise<Analysis>;
  /** Time warm runs; `progress` is told how many are done. */
  measureDevice(runs: number, progress: (done: number) => void): Promise<DeviceMeasurement>;
}

/** The square that is looked at until the person frames another: the centre, as the model was trained. */
export function startCrop(width: number, height: number): Crop {
  const side = Math.min(width, height);
  return { left: Math.floor((width - side) / 2), top: Math.floor((height - side) / 2), side };
}
