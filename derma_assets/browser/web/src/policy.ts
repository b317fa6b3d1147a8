/** What the page may do: one policy for the page's `<meta>` element, the service worker and the local server. */

/**
 * The smallest Content-Security-Policy that the page works with.
 *
 * `blob:` lets workers start from blobs, which makes them inherit this policy on hosts that send no headers, and TF.js's
 * threads load their code; workers fall under `script-src`. `wasm-unsafe-eval` compiles WebAssembly, and nothing else.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval' blob:",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Headers of every response: the policy, what a `<meta>` element cannot say, and cross-origin isolation for threads. */
export const POLICY_HEADERS = {
  "Content-Security-Policy": `${CONTENT_SECURITY_POLICY}; frame-ancestors 'none'`,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
