/** The square that was looked at, with a map of what spoke for one diagnosis. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { drawHeat, evidence } from "../heatmap";
import { useLanguage } from "../i18n/language";
import type { Manifest } from "../manifest";
import type { Case } from "./cases";

const START = 0.6;
/** The map is smooth: more pixels than this would not show. */
const HEAT_SIDE = 256;

interface Props {
  one: Case;
  manifest: Manifest;
  /** Position of the diagnosis in the manifest's labels. */
  index: number;
}

export function HeatPicture({ one, manifest, index }: Props) {
  const { texts, format } = useLanguage();
  const [strength, setStrength] = useState(START);
  const picture = useRef<HTMLCanvasElement>(null);
  const heat = useRef<HTMLCanvasElement>(null);
  const { prediction } = one.analysis!;
  const map = useMemo(() => evidence(prediction, manifest.labels.length, index), [prediction, index]);
  const code = manifest.labels[index]!.code as keyof typeof texts.diagnoses;
  const nothing = map.every((value) => value === 0);

  useEffect(() => {
    if (picture.current && one.square) picture.current.getContext("2d")!.drawImage(one.square, 0, 0);
  }, [one.square]);
  useEffect(() => {
    if (heat.current) drawHeat(heat.current, map, prediction.grid);
  }, [map]);

  const caption = nothing
    ? texts.result.heatNone
    : format.fill(texts.result.heatOf, { diagnosis: texts.diagnoses[code].name });
  return (
    <figure class="heat-picture">
      <div class="layers" role="img" aria-label={`${texts.result.picture}. ${caption}`}>
        <canvas ref={picture} id="picture" width={one.square?.width ?? 1} height={one.square?.height ?? 1} />
        <canvas ref={heat} id="heat" width={HEAT_SIDE} height={HEAT_SIDE} style={{ opacity: strength }} />
      </div>
      <figcaption>
        <p id="heat-of">{caption}</p>
        <label class="opacity">
          <span>{texts.result.opacity}</span>
          <input
            id="opacity"
            type="range"
            min={0}
            max={1}
            step={0.05}
            value={strength}
            aria-valuetext={format.percent(strength, 0)}
            onInput={(event) => setStrength(Number(event.currentTarget.value))}
          />
        </label>
        <p class="soft">{texts.result.heatHint}</p>
      </figcaption>
    </figure>
  );
}
