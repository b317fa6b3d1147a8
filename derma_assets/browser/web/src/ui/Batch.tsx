/** Several pictures: a table with the one to look at first on top. */

import { useEffect, useRef } from "preact/hooks";

import { caseState, byRisk, riskOf, type Case, type Cases } from "./cases";
import { exportCsv, exportJson } from "../export/cases";
import { useLanguage } from "../i18n/language";
import type { Manifest } from "../manifest";
import { ClearIcon, MalignantIcon, ReferIcon, RefusedIcon } from "./icons";
import { addressOf } from "./route";
import { Screen } from "./Screen";
import { useStore } from "./useStore";

const THUMBNAIL = 64;

/** The roles are spelled out, because on a narrow screen the rows are laid out as cards and would lose them. */
export function Batch({ cases, manifest }: { cases: Cases; manifest: Manifest }) {
  const { texts, format } = useLanguage();
  const all = useStore(cases, ({ all }) => all);
  const done = all.filter((one) => caseState(one) !== "waiting").length;
  const toRefer = all.filter((one) => caseState(one) === "judged" && one.analysis!.findings.refer).length;
  if (!all.length) {
    return (
      <Screen title={texts.batch.title}>
        <p>{texts.batch.empty}</p>
        <div class="row">
          <a class="button primary" href="#/">
            {texts.nav.home}
          </a>
        </div>
      </Screen>
    );
  }
  return (
    <Screen title={texts.batch.title} className="batch">
      <p role="status">
        {done < all.length
          ? format.fill(texts.batch.progress, { done, total: all.length })
          : `${format.plural(texts.batch.count, all.length)}, ${format.plural(texts.batch.toRefer, toRefer)}`}
      </p>
      {done < all.length && <progress max={all.length} value={done} aria-label={texts.batch.title} />}
      <div class="table-scroll" tabIndex={0} role="region" aria-label={texts.batch.title}>
        <table id="batch" role="table">
          <caption>{texts.batch.caption}</caption>
          <thead role="rowgroup">
            <tr role="row">
              <th scope="col" role="columnheader">{texts.batch.picture}</th>
              <th scope="col" role="columnheader">{texts.batch.verdict}</th>
              <th scope="col" role="columnheader">{texts.batch.likeliest}</th>
              <th scope="col" role="columnheader" class="number">
                {texts.batch.risk}
              </th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            {byRisk(all).map((one, rank) => (
              <Row key={one.id} one={one} rank={rank} />
            ))}
          </tbody>
        </table>
      </div>
      <div class="row actions">
        <a class="button primary" href="#/">
          {texts.nav.home}
        </a>
        <button type="button" class="button" id="export-csv" disabled={done < all.length} onClick={() => exportCsv(all, manifest)}>
          {texts.report.exportCsv}
        </button>
        <button type="button" class="button" id="export-json" disabled={done < all.length} onClick={() => exportJson(all, manifest)}>
          {texts.report.exportJson}
        </button>
        <button type="button" class="button quiet" onClick={() => cases.clear()}>
          {texts.batch.clear}
        </button>
      </div>
    </Screen>
  );
}

function Row({ one, rank }: { one: Case; rank: number }) {
  const { texts, format } = useLanguage();
  const state = caseState(one);
  const judged = state === "judged" ? one.analysis! : null;
  const first = judged?.findings.top[0];
  const address = addressOf({ screen: state === "judged" || state === "refused" ? "result" : "frame", id: one.id });
  return (
    <tr role="row" data-rank={rank} data-state={state}>
      <th scope="row" role="rowheader">
        <a class="picture-link" href={address} aria-label={format.fill(texts.batch.open, { name: one.name })}>
          <Thumbnail one={one} />
          <span>{one.name}</span>
        </a>
      </th>
      <td role="cell">
        <span class={`badge ${judged ? (judged.findings.refer ? "refer" : "clear") : state}`}>
          {judged && (judged.findings.refer ? <ReferIcon size={18} /> : <ClearIcon size={18} />)}
          {state === "refused" && <RefusedIcon size={18} />}
          {judged && (judged.findings.refer ? texts.result.refer : texts.result.doNotRefer)}
          {state === "waiting" && texts.batch.waiting}
          {state === "refused" && `${texts.batch.refused}: ${texts.refusal.reasons[one.analysis!.refusals[0]!.reason].what}`}
          {state === "failed" && texts.batch.failed}
        </span>
      </td>
      <td role="cell">
        {first && (
          <span class="likeliest">
            {first.label.malignant && <MalignantIcon />}
            {texts.diagnoses[first.label.code as keyof typeof texts.diagnoses].name}
          </span>
        )}
      </td>
      <td role="cell" class="number">{judged && format.share(riskOf(judged))}</td>
    </tr>
  );
}

function Thumbnail({ one }: { one: Case }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context && one.square) context.drawImage(one.square, 0, 0, THUMBNAIL, THUMBNAIL);
  }, [one.square]);
  return <canvas ref={canvas} class="thumbnail" width={THUMBNAIL} height={THUMBNAIL} aria-hidden="true" />;
}
