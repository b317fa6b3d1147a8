/** The eight flips and turns of a square picture, in the order of `derma_assets/training`'s `dihedral_views`. */

/**
 * Return the first `count` of: the picture as it is, turned by 90, 180 and 270 degrees counter-clockwise, and the same
 * four of its left-right mirror image.
 *
 * @param pixels (size, size, 3) flattened.
 * @returns (count, size, size, 3) flattened, float32.
 */
export function dihedralViews(pixels: ArrayLike<number>, size: number, count: number): Float32Array {
  const length = size * size * 3;
  const views = new Float32Array(count * length);
  const last = size - 1;
  for (let view = 0; view < count; view++) {
    const mirrored = view >= 4;
    const turns = view % 4;
    let target = view * length;
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        // Where the pixel at (y, x) of the turned picture came from: a turn moves the right column to the top row.
        let [row, column] = [y, x];
        for (let turn = 0; turn < turns; turn++) [row, column] = [column, last - row];
        if (mirrored) column = last - column;
        const source = (row * size + column) * 3;
        views[target++] = pixels[source]!;
        views[target++] = pixels[source + 1]!;
        views[target++] = pixels[source + 2]!;
      }
    }
  }
  return views;
}
