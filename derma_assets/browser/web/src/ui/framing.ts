/** The square that the person frames: always whole pixels, always inside the picture. */

import { startCrop, type Crop } from "../engine/types";

export interface Size {
  width: number;
  height: number;
}

/** The smallest square that may be framed: what the model sees, or all there is of a smaller picture. */
export function smallestSide(picture: Size, modelSize: number): number {
  return Math.min(modelSize, picture.width, picture.height);
}

/** The nearest square to a wished one that is allowed. */
export function allowed(wish: Crop, picture: Size, smallest: number): Crop {
  const side = Math.round(clamp(wish.side, smallest, Math.min(picture.width, picture.height)));
  return {
    left: Math.round(clamp(wish.left, 0, picture.width - side)),
    top: Math.round(clamp(wish.top, 0, picture.height - side)),
    side,
  };
}

/** The square moved by so many pixels of the picture. */
export function moved(crop: Crop, right: number, down: number): Crop {
  return { ...crop, left: crop.left + right, top: crop.top + down };
}

/**
 * The square made smaller (`factor` above 1: zoomed in) or larger.
 *
 * @param x,y The point of the square that stays where it is, 0..1 from its left and its top.
 */
export function zoomed(crop: Crop, factor: number, x = 0.5, y = 0.5): Crop {
  const side = crop.side / factor;
  return { left: crop.left + (crop.side - side) * x, top: crop.top + (crop.side - side) * y, side };
}

/** How far zoomed in, 0 (whole picture) to 1, on a scale on which equal steps look equal. */
export function zoomLevel(crop: Crop, picture: Size, smallest: number): number {
  const largest = startCrop(picture.width, picture.height).side;
  return largest === smallest ? 0 : Math.log(largest / crop.side) / Math.log(largest / smallest);
}

/** The side of the square at a zoom level. */
export function sideAt(level: number, picture: Size, smallest: number): number {
  const largest = startCrop(picture.width, picture.height).side;
  return largest * (smallest / largest) ** level;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
