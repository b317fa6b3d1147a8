/** The class activation map of one diagnosis, drawn over the picture. */

import type { Prediction } from "./model";

/**
 * Evidence for a class at each position of the grid, 0..1: how far its activation is above the mean of all classes,
 * as a share of the largest such excess. Nowhere above the mean: all zero.
 */
export function evidence(prediction: Prediction, classes: number, index: number): Float32Array {
  const [height, width] = prediction.grid;
  const map = new Float32Array(height * width);
  for (let position = 0; position < map.length; position++) {
    let mean = 0;
    for (let other = 0; other < classes; other++) mean += prediction.cams[position * classes + other]! / classes;
    map[position] = Math.max(prediction.cams[position * classes + index]! - mean, 0);
  }
  const largest = Math.max(...map);
  return largest > 0 ? map.map((value) => value / largest) : map;
}

/** Draw the square of the picture, and the map over it where one is given. */
export function draw(
  canvas: HTMLCanvasElement,
  square: CanvasImageSource,
  map: Float32Array | null,
  grid: [number, number],
): void {
  const context = canvas.getContext("2d")!;
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(square, 0, 0, canvas.width, canvas.height);
  if (!map) return;
  const overlay = context.getImageData(0, 0, canvas.width, canvas.height);
  const [height, width] = grid;
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      const value = sample(map, width, height, ((x + 0.5) / canvas.width) * width, ((y + 0.5) / canvas.height) * height);
      const at = (y * canvas.width + x) * 4;
      // Blue to yellow, readable with any colour vision; the stronger, the less of the picture shows through.
      const opacity = 0.65 * value;
      const colour = [40 + 215 * value, 70 + 150 * value, 200 - 180 * value];
      for (let channel = 0; channel < 3; channel++) {
        overlay.data[at + channel] = overlay.data[at + channel]! * (1 - opacity) + colour[channel]! * opacity;
      }
    }
  }
  context.putImageData(overlay, 0, 0);
}

/** Bilinear sample of a grid whose cell centres are at half-integers. */
function sample(map: Float32Array, width: number, height: number, x: number, y: number): number {
  const column = Math.min(Math.max(x - 0.5, 0), width - 1);
  const row = Math.min(Math.max(y - 0.5, 0), height - 1);
  const left = Math.floor(column);
  const top = Math.floor(row);
  const right = Math.min(left + 1, width - 1);
  const bottom = Math.min(top + 1, height - 1);
  const across = column - left;
  const down = row - top;
  const upper = map[top * width + left]! * (1 - across) + map[top * width + right]! * across;
  const lower = map[bottom * width + left]! * (1 - across) + map[bottom * width + right]! * across;
  return upper * (1 - down) + lower * down;
}
