/** TF.js's threads under a minifier. */

import type { Plugin } from "vite";

const FACTORY = "tfjs-backend-wasm-threaded-simd.js";

/** What the factory says of a variable outside of itself, and what it must say to stand alone. */
const REPLACEMENTS = [
  ['if(typeof _scriptDir !== "undefined" && _scriptDir){scriptDirectory=_scriptDir}', ""],
  ['Module["mainScriptUrlOrBlob"]||_scriptDir', 'Module["mainScriptUrlOrBlob"]'],
] as const;

/**
 * Make the threaded factory independent of what surrounds it.
 *
 * TF.js starts its threads from the factory's own text. A minifier renames the variable beside it that the text
 * mentions, and the threads then die of a name that they do not know, which TF.js does not notice: it waits forever.
 */
export function selfContainedThreads(): Plugin {
  return {
    name: "self-contained-threads",
    transform(code, id) {
      if (!id.split("?")[0]!.endsWith(FACTORY)) return null;
      let changed = code;
      for (const [before, after] of REPLACEMENTS) {
        if (!changed.includes(before)) this.error(`${FACTORY} is not as expected: it does not contain ${before}`);
        changed = changed.replace(before, after);
      }
      return { code: changed, map: null };
    },
  };
}
