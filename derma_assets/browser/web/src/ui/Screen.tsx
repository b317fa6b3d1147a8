/** What every screen has: a heading that takes the focus when the screen comes, so that it is read out. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { useLanguage } from "../i18n/language";

interface Props {
  title: string;
  /** Shown smaller below the heading. */
  lead?: string;
  className?: string;
  children: ComponentChildren;
}

export function Screen({ title, lead, className, children }: Props) {
  const { texts } = useLanguage();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – ${texts.appName}`;
  }, [title, texts]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, []);
  return (
    <main id="content" class={`screen ${className ?? ""}`}>
      <div class="screen-head">
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        {lead && <p class="soft">{lead}</p>}
      </div>
      {children}
    </main>
  );
}
