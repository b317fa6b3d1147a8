/** What kind of picture a file is, by its first bytes: names and types of files are often wrong. */

export type Format = "jpeg" | "png" | "gif" | "bmp" | "webp" | "avif" | "heic" | "tiff" | "unknown";

/** How many bytes `formatOf` wants. */
export const SIGNATURE_BYTES = 32;

const HEIC_BRANDS = ["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"];

/** Return the format that the first bytes of a file tell. */
export function formatOf(bytes: Uint8Array): Format {
  const text = String.fromCharCode(...bytes.subarray(0, SIGNATURE_BYTES));
  if (text.startsWith("\xff\xd8\xff")) return "jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (text.startsWith("GIF8")) return "gif";
  if (text.startsWith("BM")) return "bmp";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "tiff";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "webp";
  if (text.slice(4, 8) === "ftyp") {
    // The major brand, then a version, then compatible brands: AVIF files may name the general brand first.
    const brands = text.slice(8);
    if (brands.includes("avif") || brands.includes("avis")) return "avif";
    if (HEIC_BRANDS.some((brand) => brands.includes(brand))) return "heic";
  }
  return "unknown";
}
