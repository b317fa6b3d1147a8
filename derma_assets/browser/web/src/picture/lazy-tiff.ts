/** TIFF, as some dermatoscope software writes it; fetched only when such a file comes. */

import { decode } from "tiff";

import { BytesSource, type PixelSource } from "./source";

const MODES = { blackIsZero: 1, rgb: 2, palette: 3 };

/**
 * Decode the first page: grey, palette or RGB, of 8 or 16 bits (of which the upper 8 are kept), with or without alpha.
 *
 * @throws Error the file is damaged, or of a kind that is none of these (CMYK, for example, or stored on its side).
 */
export async function decodeTiff(file: Blob): Promise<PixelSource> {
  const [page] = decode(await file.arrayBuffer(), { pages: [0] });
  if (!page) throw new Error("no page");
  const { width, height, data, type, bitsPerSample, samplesPerPixel: samples } = page;
  if (!(data instanceof Uint8Array || data instanceof Uint16Array)) throw new Error("neither 8 nor 16 bits");
  const shift = bitsPerSample > 8 ? bitsPerSample - 8 : 0;
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const source = pixel * samples;
    const sample = (channel: number): number => data[source + channel]! >> shift;
    let [red, green, blue, alpha] = [0, 0, 0, 255];
    if (type === MODES.rgb) {
      [red, green, blue] = [sample(0), sample(1), sample(2)];
      if (page.alpha) alpha = sample(3);
    } else if (type === MODES.palette) {
      const colour = page.palette?.[data[source]!];
      if (!colour) throw new Error("a colour is not in the palette");
      // A palette has 16 bits for each colour, whatever the picture has.
      [red, green, blue] = [colour[0] >> 8, colour[1] >> 8, colour[2] >> 8];
    } else if (type <= MODES.blackIsZero) {
      red = green = blue = sample(0);
      if (page.alpha) alpha = sample(1);
    } else {
      throw new Error(`colours of kind ${type}`);
    }
    rgba.set([red, green, blue, alpha], pixel * 4);
  }
  return new BytesSource(width, height, rgba);
}
