/**
 * Pillow's antialiased BILINEAR resize, bit for bit.
 *
 * The model was trained on pictures that Pillow reduced, and a browser's own scaling differs from it by whole grey
 * levels. Source: Pillow, src/libImaging/Resample.c (`precompute_coeffs`, `normalize_coeffs_8bpc`,
 * `ImagingResampleHorizontal_8bpc`, `ImagingResampleVertical_8bpc`).
 */

const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);

/** For each output position: the first input position that counts, how many do, and their weights in fixed point. */
interface Coefficients {
  first: Int32Array;
  count: Int32Array;
  weights: Int32Array;
  stride: number;
}

/** A triangle filter that widens with the reduction; its weights sum to one before they are rounded. */
function coefficients(inputSize: number, outputSize: number): Coefficients {
  const scale = inputSize / outputSize;
  const filterScale = Math.max(scale, 1);
  const support = filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputSize);
  const count = new Int32Array(outputSize);
  const weights = new Int32Array(outputSize * stride);
  const row = new Float64Array(stride);
  // Pillow multiplies by the reciprocal; a division would round differently.
  const reciprocal = 1 / filterScale;
  for (let out = 0; out < outputSize; out++) {
    const centre = (out + 0.5) * scale;
    const from = Math.max(Math.trunc(centre - support + 0.5), 0);
    const taps = Math.min(Math.trunc(centre + support + 0.5), inputSize) - from;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const distance = Math.abs((tap + from - centre + 0.5) * reciprocal);
      const weight = distance < 1 ? 1 - distance : 0;
      row[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < taps; tap++) {
      const weight = sum === 0 ? row[tap]! : row[tap]! / sum;
      weights[out * stride + tap] = Math.trunc(0.5 + weight * (1 << PRECISION_BITS));
    }
    first[out] = from;
    count[out] = taps;
  }
  return { first, count, weights, stride };
}

/**
 * Bring each row of an RGB picture to `size` pixels: the first of Pillow's two passes.
 *
 * @param pixels (height, width, 3) bytes.
 * @returns (height, size, 3) bytes.
 */
export function resizeRows(pixels: Uint8Array, width: number, height: number, size: number): Uint8Array {
  if (width === size) return pixels; // Like Pillow, leave out a pass that would change nothing.
  const { first, count, weights, stride } = coefficients(width, size);
  const resized = new Uint8Array(height * size * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < size; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let source = (y * width + first[x]!) * 3;
      for (let tap = 0; tap < count[x]!; tap++, source += 3) {
        const weight = weights[x * stride + tap]!;
        red += pixels[source]! * weight;
        green += pixels[source + 1]! * weight;
        blue += pixels[source + 2]! * weight;
      }
      const target = (y * size + x) * 3;
      resized[target] = clip(red >> PRECISION_BITS);
      resized[target + 1] = clip(green >> PRECISION_BITS);
      resized[target + 2] = clip(blue >> PRECISION_BITS);
    }
  }
  return resized;
}

/**
 * Bring each column of an RGB picture to `size` pixels: the second pass.
 *
 * @param pixels (height, width, 3) bytes.
 * @returns (size, width, 3) bytes.
 */
export function resizeColumns(pixels: Uint8Array, width: number, height: number, size: number): Uint8Array {
  if (height === size) return pixels;
  const { first, count, weights, stride } = coefficients(height, size);
  const resized = new Uint8Array(size * width * 3);
  const line = width * 3;
  for (let y = 0; y < size; y++) {
    for (let column = 0; column < line; column++) {
      let sum = HALF;
      let source = first[y]! * line + column;
      for (let tap = 0; tap < count[y]!; tap++, source += line) {
        sum += pixels[source]! * weights[y * stride + tap]!;
      }
      resized[y * line + column] = clip(sum >> PRECISION_BITS);
    }
  }
  return resized;
}

function clip(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
