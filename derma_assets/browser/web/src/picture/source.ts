/** Pixels of a decoded picture, read a few rows at a time: a photograph of 50 megapixels must not be held twice. */

export interface PixelSource {
  width: number;
  height: number;
  /** Return (rows, columns, 4) bytes RGBA, not premultiplied, of a rectangle inside the picture. */
  read(left: number, top: number, columns: number, rows: number): Uint8ClampedArray;
  /** Draw the picture into a rectangle from the origin. */
  draw(context: OffscreenCanvasRenderingContext2D, width: number, height: number): void;
  close(): void;
}

/** A picture that the browser decoded. Where it is transparent, colours have lost their low bits. */
export class BitmapSource implements PixelSource {
  readonly width: number;
  readonly height: number;

  constructor(private readonly bitmap: ImageBitmap) {
    this.width = bitmap.width;
    this.height = bitmap.height;
  }

  read(left: number, top: number, columns: number, rows: number): Uint8ClampedArray {
    const context = context2d(columns, rows);
    context.drawImage(this.bitmap, left, top, columns, rows, 0, 0, columns, rows);
    return context.getImageData(0, 0, columns, rows).data;
  }

  draw(context: OffscreenCanvasRenderingContext2D, width: number, height: number): void {
    context.drawImage(this.bitmap, 0, 0, width, height);
  }

  close(): void {
    this.bitmap.close();
  }
}

/** A picture whose bytes are at hand. */
export class BytesSource implements PixelSource {
  /** @param rgba (height, width, 4) bytes, not premultiplied. */
  constructor(
    readonly width: number,
    readonly height: number,
    private readonly rgba: Uint8ClampedArray,
  ) {}

  read(left: number, top: number, columns: number, rows: number): Uint8ClampedArray {
    const part = new Uint8ClampedArray(columns * rows * 4);
    for (let row = 0; row < rows; row++) {
      const start = ((top + row) * this.width + left) * 4;
      part.set(this.rgba.subarray(start, start + columns * 4), row * columns * 4);
    }
    return part;
  }

  draw(context: OffscreenCanvasRenderingContext2D, width: number, height: number): void {
    const whole = new OffscreenCanvas(this.width, this.height);
    const data = new ImageData(this.rgba as Uint8ClampedArray<ArrayBuffer>, this.width, this.height);
    whole.getContext("2d")!.putImageData(data, 0, 0);
    context.drawImage(whole, 0, 0, width, height);
  }

  close(): void {
    // Nothing to free: the bytes go with the object.
  }
}

export function context2d(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new RangeError(`no canvas of ${width} x ${height}`);
  return context;
}
