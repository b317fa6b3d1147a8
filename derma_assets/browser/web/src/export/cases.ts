/** All pictures of a visit as JSON or CSV, the riskiest first. */

import type { Manifest } from "../manifest";
import { byRisk, type Case } from "../ui/cases";
import { toCsv, type Cell } from "./csv";
import { download, stamp } from "./download";
import { recordOf, type CaseRecord } from "./record";

export function exportJson(cases: readonly Case[], manifest: Manifest): void {
  const records = byRisk(cases).map((one) => recordOf(one, manifest));
  const document = { disclaimer: manifest.disclaimer, model: manifest.versions, pictures: records };
  download(`triage-${stamp()}.json`, "application/json", JSON.stringify(document, null, 2) + "\n");
}

export function exportCsv(cases: readonly Case[], manifest: Manifest): void {
  const records = byRisk(cases).map((one) => recordOf(one, manifest));
  // The mark at the start tells spreadsheets that this is UTF-8.
  download(`triage-${stamp()}.csv`, "text/csv", `\uFEFF${toCsv(casesTable(records, manifest))}`);
}

/** Return the header and one row for each record. */
export function casesTable(records: readonly CaseRecord[], manifest: Manifest): Cell[][] {
  const codes = manifest.labels.map(({ code }) => code);
  const keys = manifest.views[0]!.operating_points.map(({ key }) => key);
  const header = [
    ...["file", "date", "state", "reason", "refer"],
    ...keys.flatMap((key) => [`${key}_score`, `${key}_threshold`]),
    ...["first", "second", "third"],
    ...codes.map((code) => `p_${code}`),
    ...["sharpness", "brightness", "lesion_contrast", "unfamiliarity"],
    ...["crop_left", "crop_top", "crop_side", "views", "model", "note"],
  ];
  return [header, ...records.map((record) => rowOf(record, codes, keys))];
}

function rowOf(record: CaseRecord, codes: string[], keys: string[]): Cell[] {
  const rule = (key: string) => record.rules.find((one) => one.key === key);
  const probability = (code: string) => record.diagnoses.find((one) => one.code === code)?.probability ?? null;
  const reason = record.problem?.code ?? record.refusals.map(({ reason }) => reason).join(" ");
  return [
    ...[record.file, record.date, record.state, reason, record.refer],
    ...keys.flatMap((key) => [rule(key)?.score ?? null, rule(key)?.threshold ?? null]),
    ...[0, 1, 2].map((place) => record.diagnoses[place]?.code ?? null),
    ...codes.map(probability),
    ...(["sharpness", "brightness", "lesion_contrast", "unfamiliarity"] as const).map((name) => record.measures?.[name] ?? null),
    ...[record.crop?.left ?? null, record.crop?.top ?? null, record.crop?.side ?? null],
    ...[record.views, record.model.version, record.synthetic ? "synthetic model, no real use" : record.disclaimer],
  ];
}
