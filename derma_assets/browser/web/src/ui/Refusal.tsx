/** Why a picture is not judged, and what to do about it. */

import { useEffect, useRef } from "preact/hooks";

import { useLanguage } from "../i18n/language";
import type { Case } from "./cases";
import { RefusedIcon } from "./icons";
import { addressOf } from "./route";
import { Screen } from "./Screen";

export function Refusal({ one, several }: { one: Case; several: boolean }) {
  const { texts, format } = useLanguage();
  const picture = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (picture.current && one.square) picture.current.getContext("2d")!.drawImage(one.square, 0, 0);
  }, [one.square]);
  // The first is the easiest to mend, and often what the others come from: a dark picture is blurred, too.
  const { reason, value, limit } = one.analysis!.refusals[0]!;
  return (
    <Screen title={texts.refusal.title} className="refusal">
      <div id="refusal" class="verdict refused" data-reason={reason} role="status">
        <RefusedIcon />
        <div>
          <p class="verdict-word">{texts.refusal.reasons[reason].what}</p>
          <p class="measured">
            {format.fill(texts.refusal.measured, { value: format.number(value, 1), limit: format.number(limit, 1) })}
          </p>
          <p>{texts.refusal.notJudged}</p>
        </div>
      </div>
      <div class="columns">
        <canvas
          ref={picture}
          class="square"
          width={one.square?.width ?? 1}
          height={one.square?.height ?? 1}
          role="img"
          aria-label={texts.result.picture}
        />
        <section class="card">
          <h2>{texts.refusal.whatToDo}</h2>
          <p>{texts.refusal.reasons[reason].todo}</p>
          <p>{texts.refusal.judgeYourself}</p>
          <div class="row actions">
            <a class="button primary" href="#/">
              {texts.refusal.another}
            </a>
            <a class="button" href={addressOf({ screen: "frame", id: one.id })}>
              {texts.refusal.frameAgain}
            </a>
            {several && (
              <a class="button" href="#/batch">
                {texts.result.back}
              </a>
            )}
          </div>
        </section>
      </div>
    </Screen>
  );
}
