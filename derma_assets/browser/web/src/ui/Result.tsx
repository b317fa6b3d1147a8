/** The findings of one picture, to be read in one glance; or why there are none. */

import { useState } from "preact/hooks";

import { certainty } from "../findings";
import { useLanguage } from "../i18n/language";
import type { Manifest } from "../manifest";
import type { Case, Cases } from "./cases";
import { Diagnoses } from "./Diagnoses";
import { HeatPicture } from "./HeatPicture";
import { Refusal } from "./Refusal";
import { ReportPanel } from "./Report";
import { addressOf } from "./route";
import { Rules } from "./Rules";
import { Screen } from "./Screen";
import { useStore } from "./useStore";
import { Verdict } from "./Verdict";

interface Props {
  one: Case;
  cases: Cases;
  manifest: Manifest;
}

export function Result({ one, cases, manifest }: Props) {
  const { texts, format } = useLanguage();
  const several = useStore(cases, ({ all }) => all.length > 1);
  const [chosen, setChosen] = useState<number | null>(null);
  const analysis = one.analysis!;
  if (analysis.refusals.length) return <Refusal one={one} several={several} />;
  const { findings, prediction, milliseconds } = analysis;
  const shown = chosen ?? findings.top[0]!.index;
  return (
    <Screen title={texts.result.title} className="result">
      <Verdict findings={findings} />
      <p class="suspicion">{texts.result.suspicion}</p>
      <div class="columns">
        <HeatPicture one={one} manifest={manifest} index={shown} />
        <section>
          <h2>{texts.result.likeliest}</h2>
          <Diagnoses top={findings.top} shown={shown} onShow={setChosen} />
          <h2>{texts.result.sureTitle}</h2>
          <p id="certainty" data-certainty={certainty(findings)}>
            {texts.result.sure[certainty(findings)]}
          </p>
        </section>
      </div>
      <div class="row actions">
        <a class="button primary" href="#/">
          {texts.result.another}
        </a>
        <a class="button" href={addressOf({ screen: "frame", id: one.id })}>
          {texts.result.frameAgain}
        </a>
        {several && (
          <a class="button" href="#/batch">
            {texts.result.back}
          </a>
        )}
      </div>
      <Rules rules={findings.rules} />
      <p class="soft">
        {format.plural(texts.result.views, prediction.views, { time: format.milliseconds(milliseconds) })}
      </p>
      <ReportPanel one={one} manifest={manifest} />
    </Screen>
  );
}
