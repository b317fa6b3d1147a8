/** What went wrong, and what to do. */

import type { ComponentChildren } from "preact";

import type { Problem as ProblemDetails } from "../engine/types";
import { useLanguage } from "../i18n/language";

interface Props {
  problem: ProblemDetails;
  title?: string;
  children?: ComponentChildren;
}

export function Problem({ problem, title, children }: Props) {
  const { texts, format } = useLanguage();
  return (
    <div class="card problem" role="alert" id="problem" data-code={problem.code}>
      <h2>{title ?? texts.problems.title}</h2>
      <p>{texts.problems[problem.code]}</p>
      {problem.detail && <p class="soft">{format.fill(texts.problems.detail, { detail: problem.detail })}</p>}
      {children}
    </div>
  );
}
