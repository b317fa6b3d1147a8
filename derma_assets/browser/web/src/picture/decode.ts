/** From a file to upright pixels: what the browser decodes by itself, and HEIC and TIFF where it does not. */

import { EngineError, type Problem } from "../engine/types";
import { formatOf, SIGNATURE_BYTES, type Format } from "./format";
import { BitmapSource, BytesSource, type PixelSource } from "./source";
import { upright, webpOrientation } from "./webpOrientation";

/** Larger pictures are reduced once decoded: they hold nothing more that the model could see, only memory. */
export const LARGEST_PIXELS = 24_000_000;

const DECODE_OPTIONS: ImageBitmapOptions = {
  imageOrientation: "from-image",
  colorSpaceConversion: "none",
  premultiplyAlpha: "default",
};

/**
 * Decode a picture.
 *
 * @throws EngineError the file is no picture, or of a kind that cannot be decoded here, or needs more memory than there is.
 */
export async function decode(file: Blob): Promise<PixelSource> {
  const format = formatOf(new Uint8Array(await file.slice(0, SIGNATURE_BYTES).arrayBuffer()));
  const bitmap = await (format === "webp" ? decodeWebp(file) : createImageBitmap(file, DECODE_OPTIONS)).catch(() => null);
  if (bitmap) {
    if (bitmap.width * bitmap.height > LARGEST_PIXELS) return new BitmapSource(await reduced(bitmap));
    return (mayBeTransparent(format) && (await unpremultiplied(file, bitmap))) || new BitmapSource(bitmap);
  }
  if (format === "heic") return explained("heic_failed", async () => (await import("./lazy-heic")).decodeHeic(file));
  if (format === "tiff") return explained("tiff_failed", async () => (await import("./lazy-tiff")).decodeTiff(file));
  if (format === "unknown") throw new EngineError({ code: "not_a_picture", detail: file.type });
  // A picture by its first bytes: damaged, or too large to be decoded whole. A reduced one may still fit.
  const smaller = await createImageBitmap(file, { ...DECODE_OPTIONS, resizeWidth: 2048 }).catch(() => null);
  if (smaller) return new BitmapSource(smaller);
  throw new EngineError({ code: "not_a_picture", detail: format });
}

async function decodeWebp(file: Blob): Promise<ImageBitmap> {
  const bitmap = await createImageBitmap(file, { ...DECODE_OPTIONS, imageOrientation: "none" });
  return upright(bitmap, webpOrientation(await file.arrayBuffer()));
}

async function explained(code: Problem["code"], decoding: () => Promise<PixelSource>): Promise<PixelSource> {
  try {
    return await decoding();
  } catch (error) {
    throw new EngineError({ code, detail: error instanceof Error ? error.message : String(error) });
  }
}

async function reduced(bitmap: ImageBitmap): Promise<ImageBitmap> {
  const scale = Math.sqrt(LARGEST_PIXELS / (bitmap.width * bitmap.height));
  try {
    return await createImageBitmap(bitmap, {
      resizeWidth: Math.floor(bitmap.width * scale),
      resizeHeight: Math.floor(bitmap.height * scale),
      resizeQuality: "high",
    });
  } catch {
    throw new EngineError({ code: "picture_too_large", detail: `${bitmap.width} x ${bitmap.height}` });
  } finally {
    bitmap.close();
  }
}

function mayBeTransparent(format: Format): boolean {
  return format !== "jpeg" && format !== "bmp";
}

/**
 * A canvas keeps colours multiplied by alpha, which loses their low bits. Where the picture is transparent and the
 * browser has an image decoder that does not, decode once more with it. Null where that gives nothing better, or turns
 * the picture another way.
 */
async function unpremultiplied(file: Blob, bitmap: ImageBitmap): Promise<PixelSource | null> {
  const { width, height } = bitmap;
  const canvas = new BitmapSource(bitmap);
  if (!("ImageDecoder" in globalThis) || isOpaque(canvas)) return null;
  try {
    const decoder = new ImageDecoder({
      data: await file.arrayBuffer(),
      type: file.type,
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    } as ImageDecoderInit);
    const { image } = await decoder.decode();
    const rgba = new Uint8ClampedArray(image.codedWidth * image.codedHeight * 4);
    await image.copyTo(rgba, { format: "RGBA" } as VideoFrameCopyToOptions);
    const turned = image.codedWidth !== width || image.codedHeight !== height;
    image.close();
    decoder.close();
    if (turned || !sameAlpha(canvas, rgba)) return null;
    canvas.close();
    return new BytesSource(width, height, rgba);
  } catch {
    return null;
  }
}

function isOpaque(source: PixelSource): boolean {
  return everyStrip(source, (rgba) => {
    for (let alpha = 3; alpha < rgba.length; alpha += 4) if (rgba[alpha] !== 255) return false;
    return true;
  });
}

function sameAlpha(source: PixelSource, other: Uint8ClampedArray): boolean {
  return everyStrip(source, (rgba, start) => {
    for (let alpha = 3; alpha < rgba.length; alpha += 4) if (rgba[alpha] !== other[start + alpha]) return false;
    return true;
  });
}

const STRIP_ROWS = 256;

/** Whether `holds` is true of every few rows; `start` is where they begin in the whole picture's RGBA bytes. */
function everyStrip(source: PixelSource, holds: (rgba: Uint8ClampedArray, start: number) => boolean): boolean {
  for (let top = 0; top < source.height; top += STRIP_ROWS) {
    const rows = Math.min(STRIP_ROWS, source.height - top);
    if (!holds(source.read(0, top, source.width, rows), top * source.width * 4)) return false;
  }
  return true;
}
