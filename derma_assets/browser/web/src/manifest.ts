/** What `manifest.json` says: written by `derma_assets/browser/bundle.py`, the only source of labels and thresholds. */

export interface Label {
  code: string;
  name: string;
  malignant: boolean;
  colour: string;
}

/** Refer when the score reaches the threshold; the score is the sum of the calibrated probabilities of `codes`. */
export interface OperatingPoint {
  name: string;
  codes: string[];
  threshold: number;
  sensitivity: number | null;
  specificity: number | null;
}

export interface Manifest {
  schema_version: number;
  title: string;
  disclaimer: string;
  dataset: { name: string; synthetic: boolean; notice: string; licence: string };
  labels: Label[];
  preprocessing: { size: number };
  temperature: number;
  operating_points: OperatingPoint[];
  metrics: { overall: { metric: string; value: number | null; low: number | null; high: number | null }[] };
  model: { variant: string; topology: string; files: string[] };
  versions: { code: Record<string, string>; data: Record<string, string> };
  files: Record<string, string>;
}

const SCHEMA_VERSION = 1;

export async function loadManifest(): Promise<Manifest> {
  const response = await fetch("./manifest.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`manifest.json cannot be read (${response.status}). The bundle is incomplete.`);
  const manifest = (await response.json()) as Manifest;
  if (manifest.schema_version !== SCHEMA_VERSION) {
    throw new Error(`This page reads manifests of version ${SCHEMA_VERSION}, this one is ${manifest.schema_version}.`);
  }
  return manifest;
}
