/** Whether a picture is of the kind that the model knows: what was measured against the limits chosen on validation. */

import type { Measure } from "../manifest";
import type { Measures, Refusal, RefusalReason } from "./types";

const REASONS: Record<Measure["name"], { below: RefusalReason; above: RefusalReason }> = {
  brightness: { below: "too_dark", above: "too_bright" },
  sharpness: { below: "blurred", above: "unfamiliar" },
  lesion_contrast: { below: "no_lesion", above: "unfamiliar" },
  unfamiliarity: { below: "unfamiliar", above: "unfamiliar" },
};

/** The order in which reasons are told: what the person can mend most easily comes first. */
const ORDER: RefusalReason[] = ["too_dark", "too_bright", "blurred", "no_lesion", "unfamiliar"];

/** Return every limit that a picture breaks; a number that is not finite breaks all of its own. */
export function limitsBroken(measures: Measures, limits: Measure[]): Refusal[] {
  const broken: Refusal[] = [];
  for (const { name, low, high } of limits) {
    const value = measures[name];
    if (low !== null && !(value >= low)) broken.push({ reason: REASONS[name].below, value, limit: low });
    else if (high !== null && !(value <= high)) broken.push({ reason: REASONS[name].above, value, limit: high });
  }
  return broken.sort((one, other) => ORDER.indexOf(one.reason) - ORDER.indexOf(other.reason));
}
