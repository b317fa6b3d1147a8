/** How fast this very device is: ten pictures in a row. */

import { useState } from "preact/hooks";

import { toCsv } from "../export/csv";
import { download, stamp } from "../export/download";
import type { DeviceMeasurement as Measured, Engine } from "../engine/types";
import { summary } from "../export/timings";
import { useLanguage } from "../i18n/language";

const RUNS = 10;

export function DeviceMeasurement({ engine }: { engine: Engine }) {
  const { texts, format } = useLanguage();
  const [done, setDone] = useState<number | null>(null);
  const [measured, setMeasured] = useState<Measured | null>(null);
  const measure = async (): Promise<void> => {
    setMeasured(null);
    setDone(0);
    try {
      setMeasured(await engine.measureDevice(RUNS, setDone));
    } finally {
      setDone(null);
    }
  };
  const figures = measured && summary(measured.milliseconds);
  return (
    <section class="card" id="device">
      <h2>{texts.about.deviceTitle}</h2>
      <p>{texts.about.deviceNote}</p>
      <div class="row">
        <button type="button" class="button" id="measure" disabled={done !== null} onClick={() => void measure()}>
          {done === null ? texts.about.measure : format.fill(texts.about.measuring, { done, total: RUNS })}
        </button>
        {measured && (
          <button type="button" class="button" id="export-device" onClick={() => exportMeasurement(measured)}>
            {texts.about.exportCsv}
          </button>
        )}
      </div>
      <div role="status">
        {measured && figures && (
          <table id="device-figures">
            <tbody>
              {(["mean", "min", "max", "sd"] as const).map((name) => (
                <tr key={name}>
                  <th scope="row">{texts.about[name]}</th>
                  <td class="number">{format.milliseconds(figures[name])}</td>
                </tr>
              ))}
              <tr>
                <th scope="row">{texts.about.backend}</th>
                <td class="number">
                  {measured.backend}, {format.plural(texts.about.threads, measured.threads)}
                </td>
              </tr>
            </tbody>
          </table>
        )}
      </div>
    </section>
  );
}

/** One row for this device, with every run: rows of several devices make one table. */
function exportMeasurement({ milliseconds, backend, threads, views }: Measured): void {
  const { mean, min, max, sd } = summary(milliseconds);
  const runs = milliseconds.map((_, index) => `run_${index + 1}_ms`);
  const header = ["device", "backend", "threads", "views", ...runs, "mean_ms", "min_ms", "max_ms", "sd_ms"];
  const row = [navigator.userAgent, backend, threads, views, ...milliseconds, mean, min, max, sd];
  download(`device-${stamp()}.csv`, "text/csv", toCsv([header, row]));
}
