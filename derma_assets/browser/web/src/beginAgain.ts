/** A page whose bundle was replaced on the host before all of it had arrived begins again with the new one. */

import type { Engine } from "./engine/types";
import { EngineError } from "./engine/types";
import type { Cases } from "./ui/cases";

/** Reload the page once in that case, unless a picture was chosen already: then the person is told, and decides. */
export function beginAgainIfReplaced(engine: Engine, cases: Cases): void {
  engine.ready.catch((error: unknown) => {
    const replaced = error instanceof EngineError && error.problem.code === "changed_meanwhile";
    if (replaced && cases.all.length === 0 && !wasReloaded()) location.reload();
  });
}

function wasReloaded(): boolean {
  const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  return navigation?.type === "reload";
}
