/** Errors that cross from a worker to the page: comlink carries only name and message, so the code travels in the message. */

import { EngineError, type Problem } from "./types";

/** Return the engine's error that `error` is or was before it crossed; anything else is `unexpected`. */
export function asEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const [, code, detail] = /^(\w+): ([\s\S]*)$/.exec(message) ?? [];
  return new EngineError(
    code && isCode(code) ? { code, detail: detail ?? "" } : { code: "unexpected", detail: message },
  );
}

const CODES: Record<Problem["code"], true> = {
  manifest_missing: true,
  manifest_version: true,
  file_missing: true,
  file_damaged: true,
  no_webassembly: true,
  not_a_picture: true,
  picture_too_large: true,
  heic_failed: true,
  tiff_failed: true,
  out_of_memory: true,
  changed_meanwhile: true,
  unexpected: true,
};

function isCode(code: string): code is Problem["code"] {
  return Object.hasOwn(CODES, code);
}
