/** The page: what stands on every screen, and which screen is shown. */

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";

import type { Engine } from "../engine/types";
import { useLanguage } from "../i18n/language";
import type { Manifest } from "../manifest";
import type { Offline } from "../offline";
import { About } from "./About";
import { Batch } from "./Batch";
import type { Cases } from "./cases";
import { EngineStatus } from "./EngineStatus";
import { Frame } from "./Frame";
import { History } from "./History";
import { Home } from "./Home";
import { SettingsIcon } from "./icons";
import { Result } from "./Result";
import { addressOf, go, useRoute, type Route } from "./route";
import { Settings } from "./Settings";
import { useIncomingFiles } from "./useIncomingFiles";
import { useStore } from "./useStore";

interface Props {
  engine: Engine;
  offline: Offline;
  cases: Cases;
}

export function App({ engine, offline, cases }: Props) {
  const { texts, language } = useLanguage();
  const route = useRoute();
  const manifest = useManifest(engine);
  const all = useStore(cases, ({ all }) => all);

  const onFiles = useCallback(
    (files: File[]) => {
      if (!files.length) return;
      const added = cases.add(files);
      if (added.length === 1) return go({ screen: "frame", id: added[0]!.id });
      void cases.judgeAll(added.map(({ id }) => id));
      go({ screen: "batch" });
    },
    [cases],
  );
  useIncomingFiles(onFiles);

  return (
    <>
      <a class="skip" href="#content" onClick={skipToContent}>
        {texts.skipToContent}
      </a>
      <header>
        <div class="bar">
          <a class="brand" href="#/">
            {texts.appName}
          </a>
          <nav aria-label={texts.nav.label}>
            <Link to={{ screen: "home" }} at={route} words={texts.nav.home} />
            {all.length > 1 && <Link to={{ screen: "batch" }} at={route} words={texts.nav.batch} />}
            <Link to={{ screen: "history" }} at={route} words={texts.nav.history} />
            <Link to={{ screen: "about" }} at={route} words={texts.nav.about} />
            <Link to={{ screen: "settings" }} at={route} words={texts.nav.settings} icon={<SettingsIcon />} />
          </nav>
        </div>
        <p id="disclaimer" class="notice" role="note">
          {texts.disclaimer} {route.screen === "home" && <span class="tagline">{texts.tagline}</span>}
        </p>
        {manifest?.dataset.synthetic && (
          <p id="synthetic" class="notice synthetic" role="note">
            {texts.synthetic}
          </p>
        )}
        <EngineStatus engine={engine} offline={offline} />
      </header>
      <CurrentScreen key={`${addressOf(route)} ${language}`} {...{ route, engine, cases, manifest, onFiles }} />
    </>
  );
}

interface ScreenProps {
  route: Route;
  engine: Engine;
  cases: Cases;
  manifest: Manifest | null;
  onFiles(files: File[]): void;
}

function CurrentScreen({ route, engine, cases, manifest, onFiles }: ScreenProps) {
  const one = useStore(cases, (of) => ("id" in route ? of.find(route.id) : undefined));
  if (manifest) {
    if (route.screen === "frame" && one) return <Frame {...{ one, engine, cases, manifest }} />;
    if (route.screen === "result" && one?.analysis) return <Result {...{ one, cases, manifest }} />;
    if (route.screen === "batch") return <Batch cases={cases} manifest={manifest} />;
    if (route.screen === "about") return <About manifest={manifest} engine={engine} />;
  }
  if (route.screen === "history") return <History />;
  if (route.screen === "settings") return <Settings />;
  // A picture of an earlier visit is gone with the page it was chosen on.
  return <Home engine={engine} onFiles={onFiles} />;
}

interface LinkProps {
  to: Route;
  at: Route;
  words: string;
  /** Stands for the words where there is little room. */
  icon?: ComponentChildren;
}

function Link({ to, at, words, icon }: LinkProps) {
  return (
    <a href={addressOf(to)} {...(to.screen === at.screen ? { "aria-current": "page" as const } : {})}>
      {icon}
      <span class={icon ? "words" : ""}>{words}</span>
    </a>
  );
}

function useManifest(engine: Engine): Manifest | null {
  const [manifest, setManifest] = useState<Manifest | null>(null);
  useEffect(() => {
    // What goes wrong is the engine's state, and shown as such.
    engine.manifest.then(setManifest, () => undefined);
  }, [engine]);
  return manifest;
}

function skipToContent(event: Event): void {
  // The address says which screen is shown, so it cannot name a place on it.
  event.preventDefault();
  document.querySelector<HTMLElement>("#content h1")?.focus();
}
