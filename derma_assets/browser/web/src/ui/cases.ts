/** The pictures of this visit: what was chosen, framed and found. Nothing of it outlives the page. */

import type { Analysis, Crop, Engine, OpenedPicture, Problem } from "../engine/types";
import { EngineError, startCrop } from "../engine/types";

/** Side, in pixels, of the square kept to be shown beside the findings. */
export const SQUARE_SIDE = 512;

export interface Case {
  id: number;
  file: Blob;
  name: string;
  /** When it was chosen. */
  date: Date;
  /** Upright size of the picture, and the square looked at; null until it was opened. */
  width: number;
  height: number;
  crop: Crop | null;
  /** The square as it is shown, SQUARE_SIDE pixels a side; null until it was analysed. */
  square: HTMLCanvasElement | null;
  analysis: Analysis | null;
  problem: Problem | null;
}

export type CaseState = "waiting" | "failed" | "refused" | "judged";

export function caseState(one: Case): CaseState {
  if (one.problem) return "failed";
  if (!one.analysis) return "waiting";
  return one.analysis.refusals.length ? "refused" : "judged";
}

/** The score that pictures are sorted by: the summed probability of the malignant diagnoses. */
export function riskOf(analysis: Analysis): number {
  return analysis.findings.rules.find((rule) => rule.point.key === "referral")?.score ?? 0;
}

/** Judged pictures by falling risk, then those still to be judged, then refused ones and failures. */
export function byRisk(cases: readonly Case[]): Case[] {
  const rank: Record<CaseState, number> = { judged: 0, waiting: 1, refused: 2, failed: 3 };
  return [...cases].sort((one, other) => {
    const [left, right] = [caseState(one), caseState(other)];
    if (left !== right) return rank[left] - rank[right];
    return left === "judged" ? riskOf(other.analysis!) - riskOf(one.analysis!) : one.id - other.id;
  });
}

/** All pictures of this visit. */
export class Cases {
  private list: readonly Case[] = [];
  private readonly listeners = new Set<() => void>();
  private last = 0;
  private queue: Promise<void> = Promise.resolve();

  constructor(private readonly engine: Engine) {}

  get all(): readonly Case[] {
    return this.list;
  }

  find(id: number): Case | undefined {
    return this.list.find((one) => one.id === id);
  }

  /** Call `listener` on every change; returns what stops it. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Add files as they were chosen. */
  add(files: readonly File[]): Case[] {
    const added = files.map((file): Case => ({
      id: ++this.last,
      file,
      name: file.name,
      date: new Date(),
      width: 0,
      height: 0,
      crop: null,
      square: null,
      analysis: null,
      problem: null,
    }));
    this.change([...this.list, ...added]);
    return added;
  }

  update(id: number, change: Partial<Case>): void {
    this.change(this.list.map((one) => (one.id === id ? { ...one, ...change } : one)));
  }

  clear(): void {
    this.change([]);
  }

  /** Judge pictures one after the other by the square each starts with; those removed meanwhile are left out. */
  judgeAll(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      this.queue = this.queue.then(async () => {
        const one = this.find(id);
        if (one) await this.judge(one);
      });
    }
    return this.queue;
  }

  /** Judge the square that a picture starts with. What goes wrong stands in the case. */
  async judge(one: Case): Promise<void> {
    try {
      const picture = await this.engine.open(one.file);
      try {
        await this.judgeOpened(one, picture, startCrop(picture.width, picture.height));
      } finally {
        this.engine.close(picture);
      }
    } catch (error) {
      this.fail(one, error);
    }
  }

  /** Judge a square of a picture that is open. What goes wrong stands in the case. */
  async judgeOpened(one: Case, picture: OpenedPicture, crop: Crop): Promise<void> {
    try {
      const { width, height } = picture;
      const square = squareCanvas(picture.preview, width, crop);
      const analysis = await this.engine.analyse(picture, crop);
      this.update(one.id, { width, height, crop, square, analysis, problem: null });
    } catch (error) {
      this.fail(one, error);
    }
  }

  /** Keep what went wrong; the findings of another square must not stand beside it. */
  fail(one: Case, error: unknown): void {
    const problem: Problem = error instanceof EngineError ? error.problem : { code: "unexpected", detail: String(error) };
    this.update(one.id, { problem, analysis: null, square: null });
  }

  private change(list: readonly Case[]): void {
    this.list = list;
    for (const listener of this.listeners) listener();
  }
}

/** Cut the square out of the preview, which shows the whole picture at a scale of its own. */
function squareCanvas(preview: ImageBitmap, width: number, crop: Crop): HTMLCanvasElement {
  const scale = preview.width / width;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SQUARE_SIDE;
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  const side = crop.side * scale;
  context.drawImage(preview, crop.left * scale, crop.top * scale, side, side, 0, 0, SQUARE_SIDE, SQUARE_SIDE);
  return canvas;
}
