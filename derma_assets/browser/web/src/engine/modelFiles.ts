/** The model's files: from the device if they are there, else from the host; never unless their SHA-256 is the manifest's. */

import type { Manifest } from "../manifest";
import { cacheKey, MODEL_CACHE, sha256Hex } from "../modelCache";
import { patientFetch } from "./patientFetch";
import { EngineError } from "./types";

/** How many files are fetched at once: enough to fill a slow line, few enough that a broken one loses little. */
const AT_ONCE = 4;

export interface Download {
  loadedBytes: number;
  totalBytes: number;
  waiting: boolean;
}

/**
 * Return every file of the model by its path in the bundle.
 *
 * Each file that arrives is checked and kept on the device at once, so a download that is broken off, even by closing
 * the page, goes on where it stopped.
 *
 * @throws EngineError a file is missing, or is not the one the manifest was made for; `changed_meanwhile` if that is
 * because the host has got another bundle since.
 */
export async function modelFiles(
  manifest: Manifest,
  base: string,
  progress: (download: Download) => void,
): Promise<Map<string, ArrayBuffer>> {
  const files = new Map<string, ArrayBuffer>();
  const download: Download = {
    loadedBytes: 0,
    totalBytes: manifest.model.files.reduce((sum, path) => sum + entry(manifest, path).bytes, 0),
    waiting: false,
  };
  const report = (change: Partial<Download>): void => progress(Object.assign(download, change));
  const cache = await openCache();
  const left = [...manifest.model.files];
  const worker = async (): Promise<void> => {
    for (let path = left.shift(); path !== undefined; path = left.shift()) {
      files.set(path, await modelFile(path, entry(manifest, path).sha256, base, cache, download, report));
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } catch (error) {
    throw (await isReplaced(manifest, base)) ? new EngineError({ code: "changed_meanwhile", detail: "" }) : error;
  }
  return files;
}

/** Whether the host has another manifest by now. */
async function isReplaced(manifest: Manifest, base: string): Promise<boolean> {
  try {
    const response = await fetch(new URL("manifest.json", base).href, { cache: "no-cache" });
    const now = (await response.json()) as Manifest;
    return JSON.stringify(now.files) !== JSON.stringify(manifest.files);
  } catch {
    return false;
  }
}

async function modelFile(
  path: string,
  sha256: string,
  base: string,
  cache: Cache | null,
  download: Download,
  report: (change: Partial<Download>) => void,
): Promise<ArrayBuffer> {
  const key = cacheKey(path, sha256, base);
  const kept = await cache?.match(key);
  if (kept) {
    const bytes = await kept.arrayBuffer();
    if ((await sha256Hex(bytes)) === sha256) {
      report({ loadedBytes: download.loadedBytes + bytes.byteLength });
      return bytes;
    }
    await cache?.delete(key);
  }
  const url = new URL(path, base).href;
  const received = (bytes: number): void => report({ loadedBytes: download.loadedBytes + bytes });
  const waiting = (is: boolean): void => report({ waiting: is });
  for (const mode of ["default", "reload"] as const) {
    const bytes = await patientFetch(url, received, waiting, { cache: mode });
    if ((await sha256Hex(bytes)) === sha256) {
      // A full device is no reason to refuse: the model works, only not offline.
      await cache?.put(key, new Response(bytes)).catch(() => undefined);
      return bytes;
    }
    // What came may be a stale copy between here and the host; a second try goes past it.
    received(-bytes.byteLength);
  }
  throw new EngineError({ code: "file_damaged", detail: path });
}

function entry(manifest: Manifest, path: string): Manifest["files"][string] {
  const found = manifest.files[path];
  if (!found) throw new EngineError({ code: "file_missing", detail: path });
  return found;
}

/** Null where the browser keeps no caches: on plain http, or in some private windows. */
async function openCache(): Promise<Cache | null> {
  try {
    return await caches.open(MODEL_CACHE);
  } catch {
    return null;
  }
}
