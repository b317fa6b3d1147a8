/** Where the model's files are kept on the device: named by their SHA-256, so that two versions cannot be mixed. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

/** The Cache Storage that the page fills on the first visit and the service worker keeps complete afterwards. */
export const MODEL_CACHE = "derma-model";

const HASH = "sha256";

/**
 * Return the address under which a file of the model is kept.
 *
 * @param path Path of the file in the bundle.
 * @param hash Its SHA-256, in hexadecimal digits.
 * @param base Address of the bundle's folder: bundles in several folders of one host share the device's caches.
 */
export function cacheKey(path: string, hash: string, base: string): string {
  const url = new URL(path, base);
  url.searchParams.set(HASH, hash);
  return url.href;
}

/** Return the SHA-256 of `bytes` in hexadecimal digits. */
export async function sha256Hex(bytes: ArrayBuffer): Promise<string> {
  // Browsers offer their own only on https and localhost; a page served in a ward's network over http has to compute it.
  const digest = globalThis.crypto?.subtle
    ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
    : sha256(new Uint8Array(bytes));
  return bytesToHex(digest);
}
