/** Keeping the page on the device: installing, working offline, and changing to a new version when the person asks. */

/**
 * - `unsupported`: the browser keeps nothing, as on plain http.
 * - `installing`: not yet; the network is still needed.
 * - `ready`: works offline.
 * - `update-waiting`: works offline, and another version is on the device, whole and checked: see `applyUpdate`.
 * - `failed`: could not be kept, for example because the device is full; tried again at the next visit.
 */
export type OfflineState = "unsupported" | "installing" | "ready" | "update-waiting" | "failed";

/** The browser's offer to install the page as an app; not in TypeScript's library, since only Chromium makes it. */
interface InstallPromptEvent extends Event {
  prompt(): Promise<{ outcome: "accepted" | "dismissed" }>;
}

const HOUR = 3_600_000;

/** How far the page is kept on the device, and what the person can do about it. */
export class Offline {
  state: OfflineState = "installing";
  private prompt: InstallPromptEvent | null = null;
  private registration: ServiceWorkerRegistration | undefined;
  private readonly listeners = new Set<() => void>();

  /** @param whenModelReady When the page has its model, so that nothing is downloaded twice. */
  constructor(whenModelReady: Promise<void>) {
    addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault(); // The page has a button of its own.
      this.offer(event as InstallPromptEvent);
    });
    addEventListener("appinstalled", () => this.offer(null));
    if ("serviceWorker" in navigator) void this.start(whenModelReady);
    else this.change("unsupported");
  }

  /** Call `listener` on every change of `state` or `canInstall`; returns what stops it. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Whether `install` has something to offer. */
  get canInstall(): boolean {
    return this.prompt !== null;
  }

  /** Ask the person whether to install the page as an app; returns whether they did. Only in answer to a click. */
  async install(): Promise<boolean> {
    const prompt = this.prompt;
    this.offer(null); // The browser takes each offer once.
    return (await prompt?.prompt())?.outcome === "accepted";
  }

  /** Change to the waiting version: this page and every other open one reload. */
  applyUpdate(): void {
    this.registration?.waiting?.postMessage({ type: "SKIP_WAITING" });
  }

  private async start(whenModelReady: Promise<void>): Promise<void> {
    const container = navigator.serviceWorker;
    const found = await container.getRegistration().catch(() => undefined);
    // A bundle in a folder above has a registration that covers this page too.
    const earlier = found?.scope === new URL("./", document.baseURI).href ? found : undefined;
    // The first version takes over the page that brought it, which is of that version already.
    let replaces = Boolean(earlier?.active);
    container.addEventListener("controllerchange", () => {
      if (replaces) location.reload();
      replaces = true;
    });
    if (earlier) this.watch(earlier);
    // A page that cannot use its model may be healed by another version.
    if (!(await succeeds(whenModelReady)) && !earlier) return this.change("failed");
    try {
      this.watch(await container.register("./sw.js", { scope: "./", updateViaCache: "none" }));
    } catch {
      // Offline, or the host has gone: what is on the device goes on.
      if (!earlier?.active) return this.change("failed");
    }
    const update = (): void => void this.registration?.update().catch(() => undefined);
    setInterval(update, HOUR);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") update();
    });
    // An installed app is there to stay: the browser must not clear it when space is short.
    if (matchMedia("(display-mode: standalone)").matches) void navigator.storage.persist();
  }

  private watch(registration: ServiceWorkerRegistration): void {
    const look = (): void => {
      const { active, installing, waiting } = registration;
      if (active) this.change(waiting ? "update-waiting" : "ready");
      else this.change(installing || waiting ? "installing" : "failed");
    };
    const follow = (worker: ServiceWorker | null): void => worker?.addEventListener("statechange", look);
    if (registration !== this.registration) {
      this.registration = registration;
      registration.addEventListener("updatefound", () => follow(registration.installing));
      for (const worker of [registration.installing, registration.waiting, registration.active]) follow(worker);
    }
    look();
  }

  private change(state: OfflineState): void {
    if (state === this.state) return;
    this.state = state;
    this.tell();
  }

  private offer(prompt: InstallPromptEvent | null): void {
    this.prompt = prompt;
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

/** Keep this page on the device once its model is ready. */
export function registerOffline(whenModelReady: Promise<void>): Offline {
  return new Offline(whenModelReady);
}

function succeeds(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  );
}
