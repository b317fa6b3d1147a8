/** The first screen: take or choose pictures. It can be used before the model is loaded. */

import type { Engine } from "../engine/types";
import { useLanguage } from "../i18n/language";
import { CameraIcon, PicturesIcon } from "./icons";
import { Screen } from "./Screen";
import { useStore } from "./useStore";

/** What file dialogs offer: phones name HEIC and TIFF pictures by their endings only. */
const ACCEPTED = "image/*,.heic,.heif,.tif,.tiff";

interface Props {
  engine: Engine;
  onFiles(files: File[]): void;
}

export function Home({ engine, onFiles }: Props) {
  const { texts } = useLanguage();
  const loading = useStore(engine, ({ state }) => state.kind === "loading");
  const chosen = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    onFiles([...(input.files ?? [])]);
    input.value = ""; // So that the same file can be chosen again.
  };
  return (
    <Screen title={texts.home.title} lead={texts.home.lead} className="home">
      <div class="choose">
        <label class="button primary big">
          <CameraIcon />
          {texts.home.camera}
          <input id="camera" class="visually-hidden" type="file" accept="image/*" capture="environment" onChange={chosen} />
        </label>
        <label class="button big drop">
          <PicturesIcon />
          <span>
            {texts.home.choose}
            <small>{texts.home.drop}</small>
          </span>
          <input id="file" class="visually-hidden" type="file" accept={ACCEPTED} multiple onChange={chosen} />
        </label>
      </div>
      <p class="soft formats">{texts.home.formats}</p>
      {loading && <p>{texts.home.whileLoading}</p>}
      <section class="card">
        <h2>{texts.home.tipsTitle}</h2>
        <ul class="tips">
          {texts.home.tips.map((tip) => (
            <li key={tip}>{tip}</li>
          ))}
        </ul>
      </section>
    </Screen>
  );
}
