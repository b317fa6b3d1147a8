/** The worker that decodes pictures and cuts out what the model sees. */

import { expose, transfer } from "comlink";

import { decode } from "../picture/decode";
import { modelInput } from "../picture/preprocess";
import { measureQuality } from "../picture/quality";
import { context2d, type PixelSource } from "../picture/source";
import { PREVIEW_SIDE, type Crop, type Measures, type OpenedPicture } from "./types";

/** What the model is given of a picture, and how good it is. */
export interface PreparedInput {
  /** (size, size, 3) bytes RGB. */
  pixels: Uint8Array;
  quality: Omit<Measures, "unfamiliarity">;
}

const opened = new Map<number, PixelSource>();
let last = 0;

const worker = {
  /** Decode a picture and keep it until it is closed. */
  async open(file: Blob): Promise<OpenedPicture> {
    const source = await decode(file);
    const id = ++last;
    opened.set(id, source);
    const { width, height } = source;
    const scale = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
    const context = context2d(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
    context.imageSmoothingQuality = "high";
    context.fillStyle = "white";
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
    source.draw(context, context.canvas.width, context.canvas.height);
    const preview = context.canvas.transferToImageBitmap();
    return transfer({ id, width, height, preview }, [preview]);
  },

  /** Cut a square out of an open picture and bring it to the model's size. */
  prepare(id: number, crop: Crop, size: number): PreparedInput {
    const source = opened.get(id);
    if (!source) throw new Error(`picture ${id} is not open`);
    const whole = [crop.left, crop.top, crop.side].every(Number.isInteger);
    const inside = crop.left >= 0 && crop.top >= 0 && crop.left + crop.side <= source.width && crop.top + crop.side <= source.height;
    if (!whole || crop.side < 1 || !inside) throw new Error(`the square ${JSON.stringify(crop)} is not inside the picture`);
    const pixels = modelInput(source, crop, size);
    return transfer({ pixels, quality: measureQuality(pixels, size) }, [pixels.buffer]);
  },

  close(id: number): void {
    opened.get(id)?.close();
    opened.delete(id);
  },
};

export type PictureWorker = typeof worker;

expose(worker);
