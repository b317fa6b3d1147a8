import { defineConfig } from "vite";

import { policy, serviceWorker } from "./vite.offline";
import { selfContainedThreads } from "./vite.threads";

const target = "es2022";

export default defineConfig({
  // Relative addresses: the page works in whatever folder of whatever host it is put.
  base: "./",
  plugins: [policy(), serviceWorker(target)],
  build: {
    target,
    // Everything is a file that the page's content security policy and the manifest's SHA-256 can cover.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The HEIC decoder is large and rarely fetched; what the first visit may weigh is checked on the bundle.
    chunkSizeWarningLimit: 4000,
  },
  worker: { format: "es", plugins: () => [selfContainedThreads()] },
});
