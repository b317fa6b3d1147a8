/** Light, focus and lesion of the square that the model sees: the same numbers as `derma_assets/calibration/picture_quality.py`. */

export interface Quality {
  /** Variance of the 4-neighbour Laplacian of the luminance, over all pixels but the outermost. */
  sharpness: number;
  /** Mean luminance, 0..255. */
  brightness: number;
  /** Distance in RGB by which a lesion in the middle stands out from the skin at the edge. */
  lesion_contrast: number;
}

/**
 * Return the three measures of one picture.
 *
 * @param rgb (size, size, 3) flattened, the bytes that the model is given.
 * @param size Side in pixels, at least 16.
 */
export function measureQuality(rgb: Uint8Array, size: number): Quality {
  const grey = luminance(rgb);
  return {
    sharpness: sharpness(grey, size) / 1_000_000,
    brightness: mean(grey) / 1000,
    lesion_contrast: lesionContrast(rgb, size),
  };
}

/** In thousandths of a grey level, so that it is a whole number. */
function luminance(rgb: Uint8Array): Float64Array {
  const grey = new Float64Array(rgb.length / 3);
  for (let pixel = 0, at = 0; pixel < grey.length; pixel++, at += 3) {
    grey[pixel] = 299 * rgb[at]! + 587 * rgb[at + 1]! + 114 * rgb[at + 2]!;
  }
  return grey;
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function sharpness(grey: Float64Array, size: number): number {
  const laplacian = new Float64Array((size - 2) * (size - 2));
  let at = 0;
  for (let y = 1; y < size - 1; y++) {
    for (let x = 1; x < size - 1; x++) {
      const here = y * size + x;
      laplacian[at++] = grey[here - size]! + grey[here + size]! + grey[here - 1]! + grey[here + 1]! - 4 * grey[here]!;
    }
  }
  const middle = mean(laplacian);
  return mean(laplacian.map((value) => (value - middle) ** 2));
}

/** The picture is looked at as a grid of so many by so many blocks: a hair is lost in a block, a lesion is not. */
const GRID = 16;
/** The lesion is looked for in the middle half of the grid, the skin in its outermost blocks. */
const MIDDLE = GRID / 4;
/** A lesion is at least so many blocks: 1/64 of the picture. */
const LESION_BLOCKS = 4;

function lesionContrast(rgb: Uint8Array, size: number): number {
  const blocks = blockMeans(rgb, size);
  const skin = [0, 1, 2].map((channel) => {
    const edge: number[] = [];
    for (let row = 0; row < GRID; row++) {
      for (let column = 0; column < GRID; column++) {
        const outermost = row === 0 || column === 0 || row === GRID - 1 || column === GRID - 1;
        if (outermost) edge.push(blocks[(row * GRID + column) * 3 + channel]!);
      }
    }
    edge.sort((one, other) => one - other);
    return (edge[edge.length / 2 - 1]! + edge[edge.length / 2]!) / 2;
  });
  const distances: number[] = [];
  for (let row = MIDDLE; row < GRID - MIDDLE; row++) {
    for (let column = MIDDLE; column < GRID - MIDDLE; column++) {
      const at = (row * GRID + column) * 3;
      const red = blocks[at]! - skin[0]!;
      const green = blocks[at + 1]! - skin[1]!;
      const blue = blocks[at + 2]! - skin[2]!;
      distances.push(Math.sqrt(red * red + green * green + blue * blue));
    }
  }
  distances.sort((one, other) => other - one);
  return distances[LESION_BLOCKS - 1]!;
}

/** Mean colour of each block: (GRID, GRID, 3) flattened. */
function blockMeans(rgb: Uint8Array, size: number): Float64Array {
  const start = (block: number): number => Math.floor((block * size) / GRID);
  const means = new Float64Array(GRID * GRID * 3);
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      const [top, bottom, left, right] = [start(row), start(row + 1), start(column), start(column + 1)];
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let y = top; y < bottom; y++) {
          for (let x = left; x < right; x++) sum += rgb[(y * size + x) * 3 + channel]!;
        }
        means[(row * GRID + column) * 3 + channel] = sum / ((bottom - top) * (right - left));
      }
    }
  }
  return means;
}
