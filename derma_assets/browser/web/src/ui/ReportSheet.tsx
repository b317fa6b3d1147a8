/** The report: one page with all that a colleague needs. Seen only on paper and in saved files. */

import type { Ref } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { CaseRecord } from "../export/record";
import { useLanguage } from "../i18n/language";

interface Props {
  record: CaseRecord;
  square: HTMLCanvasElement | null;
  /** The square with the heat map of the first diagnosis. */
  heat: HTMLCanvasElement | null;
  patient: string;
  notes: string;
  sheet: Ref<HTMLDivElement>;
}

export function ReportSheet({ record, square, heat, patient, notes, sheet }: Props) {
  const { texts, format } = useLanguage();
  const nameOf = (code: string): string => texts.diagnoses[code as keyof typeof texts.diagnoses].name;
  const first = record.diagnoses[0]!;
  return (
    <div class="print-only report-sheet" ref={sheet}>
      <h1>
        {texts.appName}: {texts.report.title}
      </h1>
      <p class="notice">{texts.disclaimer}</p>
      {record.synthetic && <p class="notice">{texts.synthetic}</p>}
      <p class="report-verdict">{record.refer ? texts.result.refer : texts.result.doNotRefer}</p>
      <p>
        {texts.result.sure[record.certainty!]} {texts.result.suspicion}
      </p>
      <div class="report-pictures">
        <Picture canvas={square} label={texts.report.pictureAlt} />
        <Picture canvas={heat} label={format.fill(texts.report.mapAlt, { diagnosis: nameOf(first.code) })} />
      </div>
      <h2>{texts.report.probabilities}</h2>
      <table>
        <tbody>
          {record.diagnoses.map(({ code, malignant, probability }) => (
            <tr key={code}>
              <th scope="row">{nameOf(code)}</th>
              <td>{malignant ? <strong>{texts.result.malignant}</strong> : texts.result.benign}</td>
              <td class="number">{format.share(probability)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>{texts.result.rulesTitle}</h2>
      <table>
        <tbody>
          {record.rules.map(({ key, name, score, threshold, reached }) => (
            <tr key={key}>
              <th scope="row">{texts.result.ruleNames[key as keyof typeof texts.result.ruleNames] ?? name}</th>
              <td class="number">
                {texts.result.score} {format.share(score)}
              </td>
              <td class="number">
                {texts.result.threshold} {format.percent(threshold, 1)}
              </td>
              <td>{reached ? <strong>{texts.result.reached}</strong> : texts.result.below}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <dl>
        <Entry name={texts.report.patient} words={patient} />
        <Entry name={texts.report.notes} words={notes} />
        <Entry name={texts.report.file} words={record.file} />
        <Entry
          name={texts.report.frame}
          words={record.crop ? format.fill(texts.frame.position, { ...record.crop }) : ""}
        />
        <Entry name={texts.report.trainedOn} words={record.model.trainedOn} />
        <Entry name={texts.report.modelVersion} words={record.model.version} />
      </dl>
      <p>{format.fill(texts.report.made, { date: format.dateTime(new Date(record.date)) })}</p>
      <p class="signature">{texts.report.signature}: ______________________________</p>
    </div>
  );
}

function Entry({ name, words }: { name: string; words: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{words || "–"}</dd>
    </>
  );
}

function Picture({ canvas, label }: { canvas: HTMLCanvasElement | null; label: string }) {
  const own = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (own.current && canvas) own.current.getContext("2d")!.drawImage(canvas, 0, 0);
  }, [canvas]);
  return (
    <figure>
      <canvas ref={own} width={canvas?.width ?? 1} height={canvas?.height ?? 1} role="img" aria-label={label} />
      <figcaption>{label}</figcaption>
    </figure>
  );
}
