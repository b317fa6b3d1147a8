/** From logits to what a reader is shown: calibrated probabilities, the first diagnoses, and whether to refer. */

import type { Label, OperatingPoint, Views } from "./manifest";

export interface RankedDiagnosis {
  label: Label;
  /** Position in the manifest's labels, and so in the logits. */
  index: number;
  probability: number;
}

export interface Rule {
  point: OperatingPoint;
  score: number;
  reached: boolean;
}

export interface Findings {
  /** Calibrated, in the order of the manifest's labels. */
  probabilities: number[];
  /** The three likeliest, likeliest first. */
  top: RankedDiagnosis[];
  rules: Rule[];
  /** True when any operating point is reached: one rule never reassures against another. */
  refer: boolean;
}

/** Return the findings for the logits of one picture, as the temperature and thresholds of `views` have it. */
export function findings(logits: ArrayLike<number>, views: Views, labels: Label[]): Findings {
  const probabilities = softmax(Array.from(logits, (logit) => logit / views.temperature));
  const top = labels
    .map((label, index) => ({ label, index, probability: probabilities[index]! }))
    .sort((one, other) => other.probability - one.probability)
    .slice(0, 3);
  const rules = views.operating_points.map((point) => {
    const score = labels.reduce(
      (sum, label, index) => (point.codes.includes(label.code) ? sum + probabilities[index]! : sum),
      0,
    );
    return { point, score, reached: score >= point.threshold };
  });
  return { probabilities, top, rules, refer: rules.some((rule) => rule.reached) };
}

export type Certainty = "high" | "moderate" | "low";

/** From these probabilities of the first diagnosis on, and these leads over the second, the words change. */
const CERTAIN = { high: { probability: 0.8, lead: 0.6 }, moderate: { probability: 0.5, lead: 0.2 } };

/** How sure the model is, in a word: by the probability of the first diagnosis and its lead over the second. */
export function certainty({ top }: Findings): Certainty {
  const probability = top[0]!.probability;
  const lead = probability - top[1]!.probability;
  if (probability >= CERTAIN.high.probability && lead >= CERTAIN.high.lead) return "high";
  if (probability >= CERTAIN.moderate.probability && lead >= CERTAIN.moderate.lead) return "moderate";
  return "low";
}

function softmax(logits: number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
