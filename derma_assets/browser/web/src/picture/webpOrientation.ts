/**
 * How a WebP picture has to be turned to be upright: browsers do that for other formats, but not all of them for this one.
 *
 * Sources: WebP container specification (chunk `EXIF`); Exif 2.32, tag 0x0112.
 */

const ORIENTATION_TAG = 0x0112;
const UPRIGHT = 1;

/** Return the Exif orientation, 1 to 8; 1 where there is none. */
export function webpOrientation(file: ArrayBuffer): number {
  const view = new DataView(file);
  const name = (at: number): string => String.fromCharCode(...new Uint8Array(file, at, 4));
  // After `RIFF`, a length and `WEBP` come chunks: a name, a length, and content padded to an even length.
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    if (name(at) === "EXIF") return orientationIn(new DataView(file, at + 8, Math.min(length, view.byteLength - at - 8)));
    at += 8 + length + (length % 2);
  }
  return UPRIGHT;
}

function orientationIn(exif: DataView): number {
  try {
    // Some writers put JPEG's marker in front.
    const start = exif.getUint32(0) === 0x45786966 ? 6 : 0;
    const little = exif.getUint16(start) === 0x4949;
    const directory = start + exif.getUint32(start + 4, little);
    const entries = exif.getUint16(directory, little);
    for (let entry = 0; entry < entries; entry++) {
      const at = directory + 2 + entry * 12;
      if (exif.getUint16(at, little) === ORIENTATION_TAG) {
        const orientation = exif.getUint16(at + 8, little);
        return orientation >= 1 && orientation <= 8 ? orientation : UPRIGHT;
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // Cut off: as if there were none.
  }
  return UPRIGHT;
}

/** Return a picture turned and mirrored as the orientation says; the one given is closed where another is made. */
export function upright(bitmap: ImageBitmap, orientation: number): ImageBitmap {
  if (orientation === UPRIGHT) return bitmap;
  const { width, height } = bitmap;
  const swapped = orientation >= 5;
  const canvas = new OffscreenCanvas(swapped ? height : width, swapped ? width : height);
  const context = canvas.getContext("2d")!;
  // Where the stored picture's axes go: (a, b) is the image of "right", (c, d) that of "down".
  const axes = [
    [1, 0, 0, 1],
    [-1, 0, 0, 1],
    [-1, 0, 0, -1],
    [1, 0, 0, -1],
    [0, 1, 1, 0],
    [0, 1, -1, 0],
    [0, -1, -1, 0],
    [0, -1, 1, 0],
  ] as const;
  const [a, b, c, d] = axes[orientation - 1]!;
  const shiftX = a < 0 ? width : c < 0 ? height : 0;
  const shiftY = d < 0 ? height : b < 0 ? width : 0;
  context.setTransform(a, b, c, d, shiftX, shiftY);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}
