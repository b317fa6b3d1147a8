/** The likeliest diagnoses in plain words, each with its probability and what it is. */

import type { RankedDiagnosis } from "../findings";
import { useLanguage } from "../i18n/language";
import { MalignantIcon } from "./icons";

interface Props {
  top: RankedDiagnosis[];
  /** Whose map is shown on the picture. */
  shown: number;
  onShow(index: number): void;
}

export function Diagnoses({ top, shown, onShow }: Props) {
  const { texts, format } = useLanguage();
  return (
    <ol id="diagnoses" class="diagnoses">
      {top.map(({ label, index, probability }) => {
        const { name, description } = texts.diagnoses[label.code as keyof typeof texts.diagnoses];
        return (
          <li key={label.code} data-code={label.code} class={label.malignant ? "malignant" : "benign"}>
            <button type="button" class="diagnosis" aria-pressed={shown === index} onClick={() => onShow(index)}>
              <span class="name">{name}</span>
              <span class="probability">{format.share(probability)}</span>
              <span class="kind">
                {label.malignant && <MalignantIcon />}
                {label.malignant ? texts.result.malignant : texts.result.benign}
              </span>
              <span class="bar" aria-hidden="true">
                <span style={{ width: `${probability * 100}%` }} />
              </span>
              <span class="visually-hidden">{texts.result.showMap}</span>
            </button>
            <details>
              <summary>{texts.result.moreAbout}</summary>
              <p>{description.about}</p>
              <p>{description.advice}</p>
              <p class="soft">{format.fill(texts.result.source, { source: description.source })}</p>
            </details>
          </li>
        );
      })}
    </ol>
  );
}
