/** Where the page starts. */

import { render } from "preact";

import { beginAgainIfReplaced } from "./beginAgain";
import { createEngine } from "./engine/client";
import { testInterface } from "./engine/testInterface";
import { LanguageProvider } from "./i18n/language";
import { registerOffline } from "./offline";
import { App } from "./ui/App";
import { Cases } from "./ui/cases";
import "./styles/index.css";

const engine = createEngine();
window.derma = testInterface(engine);
const cases = new Cases(engine);
beginAgainIfReplaced(engine, cases);

const root = document.getElementById("app")!;
root.replaceChildren();
render(
  <LanguageProvider>
    <App engine={engine} offline={registerOffline(engine.ready)} cases={cases} />
  </LanguageProvider>,
  root,
);
