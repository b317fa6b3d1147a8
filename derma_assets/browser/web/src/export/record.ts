/** One picture's findings as plain data: what is exported, and what the history keeps. */

import type { Crop, Measures, Problem, Refusal } from "../engine/types";
import { certainty, type Certainty } from "../findings";
import type { Manifest } from "../manifest";
import { caseState, type Case, type CaseState } from "../ui/cases";

export interface DiagnosisRecord {
  code: string;
  malignant: boolean;
  /** Calibrated, 0..1. */
  probability: number;
}

export interface RuleRecord {
  key: string;
  name: string;
  score: number;
  threshold: number;
  reached: boolean;
}

export interface CaseRecord {
  disclaimer: string;
  /** True when the model was trained on generated pictures: for no real use. */
  synthetic: boolean;
  file: string;
  /** ISO 8601. */
  date: string;
  state: CaseState;
  picture: { width: number; height: number };
  crop: Crop | null;
  problem: Problem | null;
  measures: Measures | null;
  refusals: Refusal[];
  /** Null, as are the following, unless the picture was judged. */
  refer: boolean | null;
  rules: RuleRecord[];
  /** All of them, likeliest first. */
  diagnoses: DiagnosisRecord[];
  certainty: Certainty | null;
  views: number | null;
  backend: string | null;
  milliseconds: number | null;
  model: { version: string; trainedOn: string };
}

/** Return what is known of a picture. The findings of a refused one are left out. */
export function recordOf(one: Case, manifest: Manifest): CaseRecord {
  const state = caseState(one);
  const analysis = one.analysis;
  const judged = state === "judged" ? analysis : null;
  return {
    disclaimer: manifest.disclaimer,
    synthetic: manifest.dataset.synthetic,
    file: one.name,
    date: one.date.toISOString(),
    state,
    picture: { width: one.width, height: one.height },
    crop: one.crop,
    problem: one.problem,
    measures: analysis?.measures ?? null,
    refusals: analysis?.refusals ?? [],
    refer: judged?.findings.refer ?? null,
    rules: (judged?.findings.rules ?? []).map(({ point, score, reached }) => ({
      key: point.key,
      name: point.name,
      score,
      threshold: point.threshold,
      reached,
    })),
    diagnoses: judged
      ? manifest.labels
          .map(({ code, malignant }, index) => ({ code, malignant, probability: judged.findings.probabilities[index]! }))
          .sort((first, second) => second.probability - first.probability)
      : [],
    certainty: judged ? certainty(judged.findings) : null,
    views: judged?.prediction.views ?? null,
    backend: judged?.backend ?? null,
    milliseconds: judged?.milliseconds ?? null,
    model: { version: modelVersion(manifest), trainedOn: manifest.dataset.name },
  };
}

/** What identifies the model in reports: the data version of the trained network. */
export function modelVersion(manifest: Manifest): string {
  const { trained_model: trained, tfjs_model: converted } = manifest.versions.data;
  return trained ?? converted ?? "";
}
