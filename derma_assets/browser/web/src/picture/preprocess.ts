/**
 * From pixels to what the model takes: what `derma_assets/dataset/preprocessing.py` does in Python.
 *
 * Upright, transparent parts over white, a square, Pillow's resize, 8-bit RGB. Colour profiles are ignored. PNG gives
 * the same bytes as Python; JPEG decoders may differ by a grey level or two.
 */

import type { Crop } from "../engine/types";
import { resizeColumns, resizeRows } from "./resize";
import type { PixelSource } from "./source";

/** Rows that are read at once: bounds the memory that a large picture takes. */
const STRIP_ROWS = 256;

/** The model's input for a square of a picture: (size, size, 3) bytes RGB. */
export function modelInput(source: PixelSource, crop: Crop, size: number): Uint8Array {
  const narrowed = new Uint8Array(crop.side * size * 3);
  for (let row = 0; row < crop.side; row += STRIP_ROWS) {
    const rows = Math.min(STRIP_ROWS, crop.side - row);
    const rgb = overWhite(source.read(crop.left, crop.top + row, crop.side, rows));
    narrowed.set(resizeRows(rgb, crop.side, rows, size), row * size * 3);
  }
  return resizeColumns(narrowed, size, crop.side, size);
}

/** Put a picture over white and drop its alpha, rounding as Pillow's `alpha_composite` does. */
export function overWhite(rgba: Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let source = 0, target = 0; source < rgba.length; source += 4, target += 3) {
    const alpha = rgba[source + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      const value = rgba[source + channel]!;
      if (alpha === 255) rgb[target + channel] = value;
      else if (alpha === 0) rgb[target + channel] = 255;
      else {
        const blended = (value * alpha + 255 * (255 - alpha) + 128) * 128;
        rgb[target + channel] = ((blended >> 8) + blended) >> 15;
      }
    }
  }
  return rgb;
}
