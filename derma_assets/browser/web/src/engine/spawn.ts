/** Starting workers under the page's own Content-Security-Policy. */

import { releaseProxy, wrap, type Remote } from "comlink";

import { asEngineError } from "./rpcErrors";
import { EngineError } from "./types";

export interface Spawned<Worker> {
  remote: Remote<Worker>;
  /** Wait for an answer of the worker; rejects with EngineError, also when the worker dies. */
  answer<Result>(promise: Promise<Result>): Promise<Result>;
  /** Stop the worker; whoever waits for an answer of it gets an EngineError. May be called again. */
  terminate(): void;
}

/**
 * Start a module worker.
 *
 * A worker that is fetched takes the policy of its own response, which a plain static host does not set; one that
 * starts from a blob takes the page's. So a blob it is, whose only line fetches the real script.
 *
 * @param url Absolute address of the worker's script.
 */
export function spawn<WorkerInterface>(url: string): Spawned<WorkerInterface> {
  const starter = URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: "text/javascript" }));
  const worker = new Worker(starter, { type: "module" });
  const remote = wrap<WorkerInterface>(worker);
  let stopped = false;
  let die: (error: EngineError) => void;
  const died = new Promise<never>((_, reject) => {
    die = reject;
    worker.addEventListener("error", (event) => {
      // A script that cannot be fetched, or a device that has no memory left: the event says little.
      reject(new EngineError({ code: event.message ? "unexpected" : "out_of_memory", detail: event.message ?? "" }));
    });
  });
  died.catch(() => undefined);
  return {
    remote,
    async answer(promise) {
      try {
        return await Promise.race([promise, died]);
      } catch (error) {
        throw asEngineError(error);
      }
    },
    terminate() {
      if (stopped) return;
      stopped = true;
      die(new EngineError({ code: "unexpected", detail: "stopped" }));
      remote[releaseProxy]();
      worker.terminate();
      URL.revokeObjectURL(starter);
    },
  };
}
