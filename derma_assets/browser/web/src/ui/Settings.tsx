/** What the person may choose: the language, and whether results are kept. */

import { useState } from "preact/hooks";

import { eraseAll, isHistoryOn, listResults, setHistoryOn } from "../history/store";
import { LANGUAGES, useLanguage, type Language } from "../i18n/language";
import { Confirm } from "./Confirm";
import { Screen } from "./Screen";

export function Settings() {
  const { texts, language, choose } = useLanguage();
  const [on, setOn] = useState(isHistoryOn);
  const [asking, setAsking] = useState(false);
  const toggle = async (): Promise<void> => {
    setHistoryOn(!on);
    setOn(!on);
    if (on && (await listResults()).length > 0) setAsking(true);
  };
  const answer = async (yes: boolean): Promise<void> => {
    setAsking(false);
    if (yes) await eraseAll();
  };
  return (
    <Screen title={texts.settings.title}>
      <section class="card">
        <label class="field">
          <span>{texts.settings.language}</span>
          <select id="language" value={language} onChange={(event) => choose(event.currentTarget.value as Language)}>
            {Object.entries(LANGUAGES).map(([code, { language: name }]) => (
              <option key={code} value={code} lang={code}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </section>
      <section class="card">
        <h2>{texts.settings.historyTitle}</h2>
        <label class="switch">
          <input id="keep-history" type="checkbox" role="switch" checked={on} onChange={() => void toggle()} />
          <span>{texts.settings.history}</span>
        </label>
        <p class="soft">{texts.settings.historyNote}</p>
      </section>
      {asking && (
        <Confirm
          question={texts.settings.turnedOff}
          yes={texts.history.eraseYes}
          no={texts.history.eraseNo}
          onAnswer={(yes) => void answer(yes)}
        />
      )}
    </Screen>
  );
}
