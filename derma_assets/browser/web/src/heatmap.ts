/** The class activation map of one diagnosis, as a picture to be laid over the square that was looked at. */

import type { Prediction } from "./engine/types";

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

/** Opacity of the strongest evidence when the map is shown at full strength: the skin below must stay visible. */
const STRONGEST = 0.8;

/** Draw a map of evidence, transparent where there is none, on the whole of `canvas`. */
export function drawHeat(canvas: HTMLCanvasElement, map: Float32Array, grid: [number, number]): void {
  const context = canvas.getContext("2d")!;
  const picture = context.createImageData(canvas.width, canvas.height);
  const [height, width] = grid;
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      const value = sample(map, width, height, ((x + 0.5) / canvas.width) * width, ((y + 0.5) / canvas.height) * height);
      // Blue to yellow, readable with any colour vision; the stronger, the less of the picture shows through.
      picture.data.set(
        [40 + 215 * value, 70 + 150 * value, 200 - 180 * value, 255 * STRONGEST * value],
        (y * canvas.width + x) * 4,
      );
    }
  }
  context.putImageData(picture, 0, 0);
}

/** Return the square with a map of evidence over it, at a strength of 0..1. */
export function squareWithHeat(
  square: HTMLCanvasElement,
  map: Float32Array,
  grid: [number, number],
  strength: number,
): HTMLCanvasElement {
  const heat = document.createElement("canvas");
  const both = document.createElement("canvas");
  heat.width = both.width = square.width;
  heat.height = both.height = square.height;
  drawHeat(heat, map, grid);
  const context = both.getContext("2d")!;
  context.drawImage(square, 0, 0);
  context.globalAlpha = strength;
  context.drawImage(heat, 0, 0);
  return both;
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
