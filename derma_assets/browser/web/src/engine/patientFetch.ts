/** Fetching over a line that breaks: a connection that fails is waited for, an answer that says no is not. */

import { EngineError } from "./types";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 10_000;

/**
 * Return the whole content at `url`, trying again for as long as the connection fails.
 *
 * @param received is told of every bit that arrives, in bytes of content; and of what a broken try had, as a negative number.
 * @param waiting is told whether the connection is being waited for.
 * @throws EngineError `file_missing` when the host answers that it does not have it.
 */
export async function patientFetch(
  url: string,
  received: (bytes: number) => void,
  waiting: (is: boolean) => void,
  options: RequestInit = {},
): Promise<ArrayBuffer> {
  for (let delay = FIRST_DELAY; ; delay = Math.min(delay * 2, LONGEST_DELAY)) {
    let got = 0;
    try {
      const response = await fetch(url, options);
      // A host that is overloaded or starting is a connection that fails, not a missing file.
      if (response.status < 500) {
        if (!response.ok || !response.body) {
          throw new EngineError({ code: "file_missing", detail: `${url} (${response.status})` });
        }
        waiting(false);
        const parts: Uint8Array<ArrayBuffer>[] = [];
        const reader = response.body.getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          parts.push(part.value);
          got += part.value.length;
          received(part.value.length);
        }
        return parts.length === 1 && parts[0]!.byteLength === parts[0]!.buffer.byteLength
          ? parts[0]!.buffer
          : new Blob(parts).arrayBuffer();
      }
    } catch (error) {
      if (error instanceof EngineError) throw error;
    }
    received(-got);
    waiting(true);
    await pause(delay);
  }
}

/** Wait, but no longer than until the device says that it is online again. */
function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
  });
}
