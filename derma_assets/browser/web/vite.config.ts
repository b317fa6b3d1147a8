import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the page works in whatever folder of whatever host it is put.
  base: "./",
  build: {
    target: "es2022",
    // Everything is a file that the page's content security policy and the manifest's SHA-256 can cover.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
  },
});
