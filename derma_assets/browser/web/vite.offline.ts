/** What the page needs beside its own script to be safe and to work offline. */

import { build, type Plugin } from "vite";

import { CONTENT_SECURITY_POLICY } from "./src/policy";

/** Puts the policy before everything else that the page's head names. */
export function policy(): Plugin {
  return {
    name: "policy",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: CONTENT_SECURITY_POLICY },
        injectTo: "head-prepend",
      },
    ],
  };
}

/**
 * Builds the service worker beside the page: one plain script with nothing to import, under a name that never changes.
 *
 * @param target What browsers it is built for.
 */
export function serviceWorker(target: string): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    async generateBundle() {
      const built = await build({
        configFile: false,
        logLevel: "warn",
        build: { target, write: false, rollupOptions: { input: "src/sw.ts", output: { format: "iife" } } },
      });
      const [script] = "output" in built ? built.output : [];
      if (script?.type !== "chunk") this.error("the service worker was not built");
      else this.emitFile({ type: "asset", fileName: "sw.js", source: script.code });
    },
  };
}
