/** Printing, saving and exporting one result; and keeping it, where the person wants that. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { exportCsv, exportJson } from "../export/cases";
import { download, stamp } from "../export/download";
import { recordOf } from "../export/record";
import { reportHtml } from "../export/reportHtml";
import { evidence, squareWithHeat } from "../heatmap";
import { isHistoryOn, saveResult } from "../history/store";
import { useLanguage } from "../i18n/language";
import type { Manifest } from "../manifest";
import type { Case } from "./cases";
import { ReportSheet } from "./ReportSheet";

/** How strongly the map shows on paper, where it cannot be changed. */
const HEAT_STRENGTH = 0.6;
/** How long after the last key the notes are kept, in milliseconds. */
const TYPING_PAUSE = 600;

export function ReportPanel({ one, manifest }: { one: Case; manifest: Manifest }) {
  const { texts, language } = useLanguage();
  const [patient, setPatient] = useState("");
  const [notes, setNotes] = useState("");
  const sheet = useRef<HTMLDivElement>(null);
  const record = useMemo(() => recordOf(one, manifest), [one, manifest]);
  const heat = useMemo(() => {
    if (!one.square || !one.analysis) return null;
    const { prediction, findings } = one.analysis;
    const map = evidence(prediction, manifest.labels.length, findings.top[0]!.index);
    return squareWithHeat(one.square, map, prediction.grid, HEAT_STRENGTH);
  }, [one, manifest]);
  const saveFailed = useKept(one, record, patient, notes);

  const save = (): void => {
    const title = `${texts.appName}: ${texts.report.title}`;
    download(`report-${stamp()}.html`, "text/html", reportHtml(sheet.current!, title, language));
  };
  return (
    <section class="card report">
      <h2>{texts.report.details}</h2>
      <label class="field">
        <span>{texts.report.patient}</span>
        <input id="patient" autocomplete="off" value={patient} onInput={(event) => setPatient(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{texts.report.notes}</span>
        <textarea id="notes" rows={2} maxLength={600} value={notes} onInput={(event) => setNotes(event.currentTarget.value)} />
      </label>
      <p class="soft">{isHistoryOn() ? texts.history.note : texts.report.notStored}</p>
      {saveFailed && <p role="alert">{texts.history.saveFailed}</p>}
      <div class="row">
        <button type="button" class="button" id="print" onClick={() => print()}>
          {texts.report.print}
        </button>
        <button type="button" class="button" id="save-report" onClick={save}>
          {texts.report.saveHtml}
        </button>
        <button type="button" class="button" id="export-json" onClick={() => exportJson([one], manifest)}>
          {texts.report.exportJson}
        </button>
        <button type="button" class="button" id="export-csv" onClick={() => exportCsv([one], manifest)}>
          {texts.report.exportCsv}
        </button>
      </div>
      <ReportSheet {...{ record, heat, patient, notes, sheet }} square={one.square} />
    </section>
  );
}

/** Keep the result and what is written about it, if the history is on; returns whether that failed. */
function useKept(one: Case, record: ReturnType<typeof recordOf>, patient: string, notes: string): boolean {
  const saved = useRef<Promise<number | undefined>>(Promise.resolve(undefined));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (!isHistoryOn() || !one.square) return;
    const square = one.square;
    const wait = setTimeout(
      () => {
        // One after the other: what is typed while the first is being written belongs to the same result.
        saved.current = saved.current.then(async (id) => {
          try {
            const content = { record, square: await jpegOf(square), patient, notes };
            return await saveResult(id === undefined ? content : { ...content, id });
          } catch {
            setFailed(true);
            return id;
          }
        });
      },
      patient || notes ? TYPING_PAUSE : 0,
    );
    return () => clearTimeout(wait);
  }, [record, patient, notes]);
  return failed;
}

function jpegOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/jpeg", 0.85);
  });
}
