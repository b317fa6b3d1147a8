/**
 * From a picture file to the tensor the model takes: what `derma_assets/dataset/preprocessing.py` does in Python.
 *
 * EXIF orientation, transparent parts over white, centre square, Pillow's resize, float32 RGB 0..255. Colour
 * profiles are ignored. PNG gives the same tensor as Python, bit for bit; JPEG decoders may differ by a grey level or two.
 */

import { resizeBilinear } from "./resize";

/** The square that the model looks at. */
export interface Square {
  side: number;
  /** (side, side, 4) bytes RGBA, not premultiplied. */
  rgba: Uint8ClampedArray;
}

/** Decode a picture, upright, and cut its centre square. */
export async function decodeSquare(file: Blob): Promise<Square> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "default",
    });
  } catch {
    throw new Error("This file is not a picture that this browser can read. Choose a JPEG or PNG file.");
  }
  try {
    const side = Math.min(bitmap.width, bitmap.height);
    const left = Math.floor((bitmap.width - side) / 2);
    const top = Math.floor((bitmap.height - side) / 2);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("This picture is too large for this device. Choose a smaller one.");
    context.drawImage(bitmap, -left, -top);
    const rgba = context.getImageData(0, 0, side, side).data;
    const exact = isOpaque(rgba) ? null : await decodeUnpremultiplied(file, left, top, side, rgba);
    return { side, rgba: exact ?? rgba };
  } finally {
    bitmap.close();
  }
}

function isOpaque(rgba: Uint8ClampedArray): boolean {
  for (let alpha = 3; alpha < rgba.length; alpha += 4) if (rgba[alpha] !== 255) return false;
  return true;
}

/**
 * A canvas keeps colours multiplied by alpha, which loses their low bits. Where the browser has an image decoder that
 * does not, decode once more with it. Null where there is none, or it turns the picture another way.
 */
async function decodeUnpremultiplied(
  file: Blob,
  left: number,
  top: number,
  side: number,
  canvas: Uint8ClampedArray,
): Promise<Uint8ClampedArray | null> {
  if (!("ImageDecoder" in window)) return null;
  try {
    const decoder = new ImageDecoder({
      data: await file.arrayBuffer(),
      type: file.type,
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    } as ImageDecoderInit);
    const { image } = await decoder.decode();
    const rgba = new Uint8ClampedArray(side * side * 4);
    // Cropped only after copying: copyTo's `rect` wants even offsets for some formats.
    const whole = new Uint8ClampedArray(image.codedWidth * image.codedHeight * 4);
    await image.copyTo(whole, { format: "RGBA" } as VideoFrameCopyToOptions);
    for (let y = 0; y < side; y++) {
      const start = ((y + top) * image.codedWidth + left) * 4;
      rgba.set(whole.subarray(start, start + side * 4), y * side * 4);
    }
    image.close();
    decoder.close();
    for (let alpha = 3; alpha < rgba.length; alpha += 4) if (rgba[alpha] !== canvas[alpha]) return null;
    return rgba;
  } catch {
    return null;
  }
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

/** The model's input for a square: (size, size, 3) float32 RGB 0..255. */
export function toTensor(square: Square, size: number): Float32Array {
  return Float32Array.from(resizeBilinear(overWhite(square.rgba), square.side, square.side, size));
}
