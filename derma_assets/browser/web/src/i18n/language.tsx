/** Which language the page speaks: the browser's, or the one the person chose. */

import { createContext, type ComponentChildren } from "preact";
import { useContext, useEffect, useMemo, useState } from "preact/hooks";

import { en, type Texts } from "./en";
import { Format } from "./format";
import { kk } from "./kk";
import { ru } from "./ru";

export const LANGUAGES = { kk, ru, en } satisfies Record<string, Texts>;
export type Language = keyof typeof LANGUAGES;

/** Not every browser knows how Kazakh writes numbers; Russian writes them alike. */
const WRITTEN_LIKE: Record<Language, string[]> = { kk: ["kk", "ru"], ru: ["ru"], en: ["en"] };

const STORAGE_KEY = "derma-language";

export interface Spoken {
  language: Language;
  texts: Texts;
  format: Format;
  choose(language: Language): void;
}

const Context = createContext<Spoken | null>(null);

/** What to say, and how to write numbers. */
export function useLanguage(): Spoken {
  const spoken = useContext(Context);
  if (!spoken) throw new Error("useLanguage outside of LanguageProvider");
  return spoken;
}

export function LanguageProvider({ children }: { children: ComponentChildren }) {
  const [language, setLanguage] = useState<Language>(preferredLanguage);
  const spoken = useMemo<Spoken>(() => {
    const texts = LANGUAGES[language];
    return {
      language,
      texts,
      format: new Format(WRITTEN_LIKE[language], texts.result),
      choose(chosen) {
        remember(chosen);
        setLanguage(chosen);
      },
    };
  }, [language]);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return <Context.Provider value={spoken}>{children}</Context.Provider>;
}

/** The language chosen before, else the first of the browser's that the page speaks, else English. */
export function preferredLanguage(): Language {
  const wanted = [remembered(), ...navigator.languages.map((tag) => tag.split("-")[0]!.toLowerCase())];
  return wanted.find((tag): tag is Language => tag !== null && Object.hasOwn(LANGUAGES, tag)) ?? "en";
}

function remembered(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function remember(language: Language): void {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // A browser that keeps nothing asks itself again.
  }
}
