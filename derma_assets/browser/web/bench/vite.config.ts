import { defaultClientConditions, defineConfig } from "vite";

export default defineConfig({
  base: "./",
  // LiteRT.js finds its own files by their names, beside the page.
  publicDir: "node_modules/@litertjs/core/wasm",
  // onnxruntime-web starts its threads from a file of their own, which then must not be part of the worker's.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
    // Servers know scripts by this ending.
    rollupOptions: { output: { assetFileNames: ({ names }) => `assets/[name]-[hash]${ending(names[0] ?? "")}` } },
  },
  worker: {
    format: "es",
    rollupOptions: { output: { assetFileNames: ({ names }) => `assets/[name]-[hash]${ending(names[0] ?? "")}` } },
  },
});

function ending(name: string): string {
  return name.endsWith(".mjs") ? ".js" : "[extname]";
}
