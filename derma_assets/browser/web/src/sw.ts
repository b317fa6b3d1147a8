/// <reference lib="webworker" />
/** The service worker: keeps one whole version of the page and its model on the device, and changes it only when asked. */

import type { WorkboxPlugin } from "workbox-core/types";
import { PrecacheController } from "workbox-precaching/PrecacheController";
import { PrecacheRoute } from "workbox-precaching/PrecacheRoute";
import { registerRoute } from "workbox-routing/registerRoute";
import { CacheFirst } from "workbox-strategies/CacheFirst";

import { modelFiles } from "./engine/modelFiles";
import type { Manifest } from "./manifest";
import { cacheKey, MODEL_CACHE, sha256Hex } from "./modelCache";
import { POLICY_HEADERS } from "./policy";

/** A file of the page, by its path in the bundle, and its SHA-256. */
interface PageFile {
  url: string;
  revision: string;
}

declare const self: ServiceWorkerGlobalScope & {
  /** Written into this file when the bundle is made. */
  __PRECACHE__: PageFile[];
};

const base = new URL("./", self.location.href).href;
const LAZY_CACHE = `derma-lazy-${base}`;

/** Their names change with their content, so a copy of any age will do. */
const isHashed = (url: string): boolean => new URL(url, base).href.startsWith(`${base}assets/`);
/** Decoders and back ends that few people need. */
const isLazy = (url: URL): boolean => url.href.startsWith(`${base}assets/lazy-`);

const pageFiles = new PrecacheController({
  plugins: [
    {
      // What the browser has fetched for the page itself is not downloaded again; `integrity` makes that safe.
      requestWillFetch: async ({ request, event }) =>
        event?.type === "install"
          ? new Request(request, { cache: isHashed(request.url) ? "force-cache" : "no-cache" })
          : request,
      // Kept with the headers, so that answers come straight from the browser's store, compiled code included.
      cacheWillUpdate: async ({ response }) => (response.status === 200 ? underPolicy(response) : null),
    },
  ],
});
pageFiles.addToCacheList(
  self.__PRECACHE__.map(({ url, revision }) => ({
    url,
    revision: isHashed(url) ? null : revision,
    integrity: `sha256-${btoa(String.fromCharCode(...revision.match(/../g)!.map((byte) => parseInt(byte, 16))))}`,
  })),
);
registerRoute(new PrecacheRoute(pageFiles, { ignoreURLParametersMatching: [/^/], cleanURLs: false }));

/** Only what the manifest names is kept: a page that asks for a password in a hotel's network is not. */
const onlyWhatIsListed: WorkboxPlugin = {
  cacheWillUpdate: async ({ request, response }) => {
    const listed = (await manifest()).files[request.url.slice(base.length)];
    return listed?.sha256 === (await sha256Hex(await response.clone().arrayBuffer())) ? response : null;
  },
  handlerWillRespond: async ({ response }) => underPolicy(response),
};
registerRoute(
  ({ url }) => isLazy(url),
  new CacheFirst({ cacheName: LAZY_CACHE, plugins: [onlyWhatIsListed] }),
);

self.addEventListener("install", (event) => event.waitUntil(install(event)));
self.addEventListener("activate", (event) => event.waitUntil(activate(event)));
self.addEventListener("message", (event) => {
  if ((event.data as { type?: string } | null)?.type === "SKIP_WAITING") void self.skipWaiting();
});

async function install(event: ExtendableEvent): Promise<void> {
  await pageFiles.install(event);
  await modelFiles(await manifest(), base, () => undefined);
  const cache = await caches.open(MODEL_CACHE);
  for (const key of modelKeys(await manifest())) {
    // A device that is full: the page works, but must not claim to work offline.
    if (!(await cache.match(key))) throw new Error(`${key} could not be kept`);
  }
}

async function activate(event: ExtendableEvent): Promise<void> {
  await pageFiles.activate(event);
  const current = await manifest();
  await keepOnly(MODEL_CACHE, `${base}model/`, modelKeys(current));
  await keepOnly(LAZY_CACHE, base, new Set(Object.keys(current.files).map((path) => base + path)));
  // Every open page hears of the change, and reloads (offline.ts).
  await self.clients.claim();
}

async function manifest(): Promise<Manifest> {
  const kept = await pageFiles.matchPrecache("manifest.json");
  if (!kept) throw new Error("manifest.json is not kept");
  return (await kept.json()) as Manifest;
}

function modelKeys({ model, files }: Manifest): Set<string> {
  return new Set(model.files.map((path) => cacheKey(path, files[path]!.sha256, base)));
}

/** Forget what else a cache keeps below `folder`; other folders of the host have bundles of their own. */
async function keepOnly(name: string, folder: string, keys: Set<string>): Promise<void> {
  const cache = await caches.open(name);
  for (const { url } of await cache.keys()) {
    if (url.startsWith(folder) && !keys.has(url)) await cache.delete(url);
  }
}

function underPolicy(response: Response): Response {
  const headers = new Headers(POLICY_HEADERS);
  headers.set("Content-Type", response.headers.get("Content-Type") ?? "application/octet-stream");
  return new Response(response.body, { status: response.status, headers });
}
