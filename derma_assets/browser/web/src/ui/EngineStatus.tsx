/** One line about the engine: how far the model is loaded, whether it works offline, whether a new version waits. */

import type { Engine } from "../engine/types";
import { useLanguage } from "../i18n/language";
import type { Offline, OfflineState } from "../offline";
import { Problem } from "./Problem";
import { useStore } from "./useStore";

interface Props {
  engine: Engine;
  offline: Offline;
}

export function EngineStatus({ engine, offline }: Props) {
  const { texts, format } = useLanguage();
  const state = useStore(engine, ({ state }) => state);
  const offlineState = useStore(offline, ({ state }) => state);
  const canInstall = useStore(offline, ({ canInstall }) => canInstall);

  // A waiting version may heal a page that cannot use its model.
  const update = offlineState === "update-waiting" && (
    <div class="row">
      <span>{texts.engine.update}</span>
      <button type="button" class="button" id="update" onClick={() => offline.applyUpdate()}>
        {texts.engine.applyUpdate}
      </button>
    </div>
  );
  if (state.kind === "failed") {
    return (
      <Problem problem={state.problem} title={texts.engine.failed}>
        {update}
      </Problem>
    );
  }
  if (state.kind === "loading") {
    const { loadedBytes, totalBytes, waiting } = state;
    const sizes = { loaded: format.megabytes(loadedBytes), total: format.megabytes(totalBytes) };
    return (
      <div class="status" role="status">
        <label for="progress">
          {waiting ? texts.engine.waiting : totalBytes ? format.fill(texts.engine.loading, sizes) : texts.engine.starting}
        </label>
        <progress id="progress" max={1} {...(totalBytes ? { value: loadedBytes / totalBytes } : {})} />
      </div>
    );
  }
  const words: Record<OfflineState, string> = {
    unsupported: texts.engine.offlineUnsupported,
    installing: texts.engine.installing,
    ready: texts.engine.readyOffline,
    "update-waiting": texts.engine.readyOffline,
    failed: texts.engine.offlineFailed,
  };
  return (
    <div class="status">
      <p role="status" id="status" data-offline={offlineState}>
        <span class="dot" aria-hidden="true" /> {words[offlineState]}
      </p>
      {update}
      {canInstall && (
        <button type="button" class="button quiet" id="install" onClick={() => void offline.install()}>
          {texts.engine.install}
        </button>
      )}
    </div>
  );
}
