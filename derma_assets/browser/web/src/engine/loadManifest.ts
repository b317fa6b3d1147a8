/** Reading `manifest.json`, and making sure that it belongs to the page that runs. */

import { SCHEMA_VERSION, type Manifest } from "../manifest";
import { patientFetch } from "./patientFetch";
import { EngineError } from "./types";

/**
 * Return the manifest of the bundle at `base`.
 *
 * @param script Address of a script of the page that asks.
 * @throws EngineError the manifest is missing, of another version, or of a bundle that replaced this page meanwhile.
 */
export async function loadManifest(base: string, script: string, waiting: (is: boolean) => void): Promise<Manifest> {
  const url = new URL("manifest.json", base).href;
  let content: ArrayBuffer;
  try {
    content = await patientFetch(url, () => undefined, waiting, { cache: "no-cache" });
  } catch {
    throw new EngineError({ code: "manifest_missing", detail: url });
  }
  const manifest = JSON.parse(new TextDecoder().decode(content)) as Manifest;
  if (manifest.schema_version !== SCHEMA_VERSION) {
    throw new EngineError({ code: "manifest_version", detail: `${manifest.schema_version}, not ${SCHEMA_VERSION}` });
  }
  // A page that was loaded before the host got another bundle must not run that bundle's model.
  const own = decodeURI(new URL(script).pathname.slice(new URL(base).pathname.length));
  if (!Object.hasOwn(manifest.files, own)) throw new EngineError({ code: "changed_meanwhile", detail: own });
  return manifest;
}
