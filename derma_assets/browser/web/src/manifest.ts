/** What `manifest.json` says: written by `derma_assets/browser/bundle.py`, the only source of labels and thresholds. */

export interface Label {
  code: string;
  name: string;
  malignant: boolean;
  colour: string;
}

/** Refer when the score reaches the threshold; the score is the sum of the calibrated probabilities of `codes`. */
export interface OperatingPoint {
  /** `referral` or `melanoma`. */
  key: string;
  name: string;
  codes: string[];
  threshold: number;
  /** On validation, where the threshold was chosen. */
  sensitivity: number | null;
  specificity: number | null;
}

/** One way to classify: logits averaged over so many of the eight flips and turns of the square. */
export interface Views {
  count: number;
  temperature: number;
  operating_points: OperatingPoint[];
}

/** A number measured on every picture; outside `low`..`high` the picture is refused. */
export interface Measure {
  name: "sharpness" | "brightness" | "lesion_contrast" | "unfamiliarity";
  low: number | null;
  high: number | null;
}

/** How many test pictures, or pictures of a kind the model was not made for, are refused. */
export interface RefusalRow {
  kind: string;
  /** True where a refusal is right. */
  bad: boolean;
  pictures: number;
  refused: number;
  share: number;
  low: number | null;
  high: number | null;
}

export interface MetricRow {
  metric: string;
  value: number | null;
  low: number | null;
  high: number | null;
}

export interface ClassMetricRow extends MetricRow {
  dx: string;
  name: string;
  images: number;
  lesions: number;
}

export interface SubgroupRow extends MetricRow {
  /** `sex`, `age`, `localization`, `confirmation` or `skin_tone`. */
  attribute: string;
  group: string;
  images: number;
  lesions: number;
}

export interface FileEntry {
  sha256: string;
  bytes: number;
}

export interface Manifest {
  schema_version: number;
  title: string;
  disclaimer: string;
  dataset: { name: string; synthetic: boolean; notice: string; licence: string };
  labels: Label[];
  preprocessing: { version: number; size: number };
  /** The first is a single view. */
  views: Views[];
  /** How long one picture may take with more than one view. */
  time_budget_ms: number;
  guard: { measures: Measure[]; refusals: RefusalRow[] };
  metrics: {
    overall: MetricRow[];
    per_class: ClassMetricRow[];
    subgroups: SubgroupRow[];
    /** Test metrics by number of views: `accuracy`, `balanced_accuracy`, ... */
    views: (MetricRow & { count: number })[];
  };
  model: { variant: string; topology: string; files: string[] };
  versions: { code: Record<string, string>; data: Record<string, string> };
  files: Record<string, FileEntry>;
}

export const SCHEMA_VERSION = 2;
