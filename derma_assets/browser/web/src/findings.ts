/** From logits to what a reader is shown: calibrated probabilities, the first diagnoses, and whether to refer. */

import type { Label, Manifest, OperatingPoint } from "./manifest";

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
  probabilities: number[];
  top: RankedDiagnosis[];
  rules: Rule[];
  /** True when any operating point is reached: one rule never reassures against another. */
  refer: boolean;
}

export function findings(logits: ArrayLike<number>, manifest: Manifest): Findings {
  const probabilities = softmax(Array.from(logits, (logit) => logit / manifest.temperature));
  const top = manifest.labels
    .map((label, index) => ({ label, index, probability: probabilities[index]! }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, 3);
  const rules = manifest.operating_points.map((point) => {
    const score = manifest.labels.reduce(
      (sum, label, index) => (point.codes.includes(label.code) ? sum + probabilities[index]! : sum),
      0,
    );
    return { point, score, reached: score >= point.threshold };
  });
  return { probabilities, top, rules, refer: rules.some((rule) => rule.reached) };
}

function softmax(logits: number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
