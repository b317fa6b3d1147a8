/** Results that were kept on this device. */

import { useEffect, useRef, useState } from "preact/hooks";

import { eraseAll, isHistoryOn, listResults, removeResult, type SavedResult } from "../history/store";
import { useLanguage } from "../i18n/language";
import { Confirm } from "./Confirm";
import { ClearIcon, MalignantIcon, ReferIcon } from "./icons";
import { Screen } from "./Screen";

export function History() {
  const { texts, format } = useLanguage();
  const [results, setResults] = useState<SavedResult[] | null>(null);
  const [asking, setAsking] = useState(false);
  const [erased, setErased] = useState(false);
  const read = (): void => void listResults().then(setResults, () => setResults([]));
  useEffect(read, []);

  const answer = async (yes: boolean): Promise<void> => {
    setAsking(false);
    if (!yes) return;
    await eraseAll();
    setErased(true);
    setResults([]);
  };
  const remove = async (id: number): Promise<void> => {
    await removeResult(id);
    read();
  };
  return (
    <Screen title={texts.history.title} className="history">
      {!isHistoryOn() && (
        <>
          <p>
            {texts.history.off} {texts.history.turnOnHint}
          </p>
          <div class="row">
            <a class="button" href="#/settings">
              {texts.settings.title}
            </a>
          </div>
        </>
      )}
      {erased && <p role="status">{texts.history.erased}</p>}
      {results?.length === 0 && !erased && isHistoryOn() && <p>{texts.history.empty}</p>}
      {results && results.length > 0 && (
        <>
          <p>{format.plural(texts.history.count, results.length)}</p>
          <p class="soft">{texts.history.note}</p>
          <ul id="history" class="saved">
            {results.map((result) => (
              <Saved key={result.id} result={result} onRemove={() => void remove(result.id)} />
            ))}
          </ul>
          <div class="row">
            <button type="button" class="button danger" id="erase-all" onClick={() => setAsking(true)}>
              {texts.history.eraseAll}
            </button>
          </div>
        </>
      )}
      {asking && (
        <Confirm
          question={texts.history.eraseSure}
          yes={texts.history.eraseYes}
          no={texts.history.eraseNo}
          onAnswer={(yes) => void answer(yes)}
        />
      )}
    </Screen>
  );
}

function Saved({ result, onRemove }: { result: SavedResult; onRemove(): void }) {
  const { texts, format } = useLanguage();
  const { record, patient, notes } = result;
  const date = format.dateTime(new Date(record.date));
  return (
    <li class="card">
      <div class="saved-head">
        <SavedSquare content={result.square} />
        <div>
          <p class={`badge ${record.refer ? "refer" : "clear"}`}>
            {record.refer ? <ReferIcon size={18} /> : <ClearIcon size={18} />}
            {record.refer ? texts.result.refer : texts.result.doNotRefer}
          </p>
          <p>{date}</p>
          {patient && (
            <p>
              {texts.report.patient}: {patient}
            </p>
          )}
        </div>
      </div>
      <details>
        <summary>{texts.report.probabilities}</summary>
        <table>
          <tbody>
            {record.diagnoses.map(({ code, malignant, probability }) => (
              <tr key={code}>
                <th scope="row">
                  <span class="likeliest">
                    {malignant && <MalignantIcon />}
                    {texts.diagnoses[code as keyof typeof texts.diagnoses].name}
                  </span>
                </th>
                <td class="number">{format.share(probability)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {notes && <p>{notes}</p>}
        <p class="soft">
          {texts.report.file}: {record.file}. {texts.report.modelVersion}: {record.model.version}
        </p>
      </details>
      <div class="row">
        <button type="button" class="button quiet" aria-label={format.fill(texts.history.removeOne, { date })} onClick={onRemove}>
          {texts.history.remove}
        </button>
      </div>
    </li>
  );
}

const THUMBNAIL = 96;

/** Drawn rather than linked: the page's policy allows no pictures from addresses made on the fly. */
function SavedSquare({ content }: { content: Blob }) {
  const { texts } = useLanguage();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    void createImageBitmap(content).then((picture) => {
      canvas.current?.getContext("2d")!.drawImage(picture, 0, 0, THUMBNAIL, THUMBNAIL);
      picture.close();
    });
  }, [content]);
  return <canvas ref={canvas} width={THUMBNAIL} height={THUMBNAIL} role="img" aria-label={texts.report.pictureAlt} />;
}
