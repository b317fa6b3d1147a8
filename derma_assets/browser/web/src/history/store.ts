/** Results kept on the device, if the person wants them kept; nowhere else, and gone with one press. */

import { deleteDB, openDB, type DBSchema, type IDBPDatabase } from "idb";

import type { CaseRecord } from "../export/record";

const NAME = "derma-history";
const SWITCH = "derma-history";

export interface SavedResult {
  id: number;
  record: CaseRecord;
  /** JPEG of the square that was looked at. */
  square: Blob;
  patient: string;
  notes: string;
}

interface Schema extends DBSchema {
  results: { key: number; value: SavedResult };
}

/** Whether results are kept: off until the person turns it on. */
export function isHistoryOn(): boolean {
  try {
    return localStorage.getItem(SWITCH) === "on";
  } catch {
    return false;
  }
}

export function setHistoryOn(on: boolean): void {
  if (on) localStorage.setItem(SWITCH, "on");
  else localStorage.removeItem(SWITCH);
}

/** Keep a result, in place of the one that was kept as `id` before; returns its number. */
export function saveResult(result: Omit<SavedResult, "id"> & { id?: number }): Promise<number> {
  return using((database) => database.put("results", result as SavedResult));
}

/** All kept results, the latest first. */
export async function listResults(): Promise<SavedResult[]> {
  if (!(await exists())) return [];
  return (await using((database) => database.getAll("results"))).reverse();
}

export function removeResult(id: number): Promise<void> {
  return using((database) => database.delete("results", id));
}

/** Remove everything that was kept, and the place it was kept in. */
export function eraseAll(): Promise<void> {
  return deleteDB(NAME);
}

/** Opened for each use and closed again: an open database would keep `eraseAll` of another tab waiting. */
async function using<Result>(use: (database: IDBPDatabase<Schema>) => Promise<Result>): Promise<Result> {
  const database = await openDB<Schema>(NAME, 1, {
    upgrade: (fresh) => void fresh.createObjectStore("results", { keyPath: "id", autoIncrement: true }),
  });
  try {
    return await use(database);
  } finally {
    database.close();
  }
}

/** Whether anything was ever kept: only looking must not make a database. */
async function exists(): Promise<boolean> {
  // Not every browser can list them; those that cannot are asked by opening.
  const databases = await indexedDB.databases?.();
  return databases === undefined || databases.some(({ name }) => name === NAME);
}
