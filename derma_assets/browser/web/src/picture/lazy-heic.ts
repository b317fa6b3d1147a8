/** HEIC, as iPhones write it, for browsers that cannot decode it; fetched only when such a file comes. */

import { heicTo } from "heic-to/csp";

import { BitmapSource, type PixelSource } from "./source";

export async function decodeHeic(file: Blob): Promise<PixelSource> {
  // libheif turns the picture upright by itself.
  return new BitmapSource(await heicTo({ blob: file, type: "bitmap" }));
}
