/** Refer or not: by words, shape and colour, so that none is needed alone. */

import type { Findings } from "../findings";
import { useLanguage } from "../i18n/language";
import { ClearIcon, ReferIcon } from "./icons";

export function Verdict({ findings }: { findings: Findings }) {
  const { texts, format } = useLanguage();
  const reached = findings.rules
    .filter((rule) => rule.reached)
    .map((rule) => texts.result.ruleNames[rule.point.key as keyof typeof texts.result.ruleNames] ?? rule.point.name);
  return (
    <div id="verdict" class={`verdict ${findings.refer ? "refer" : "clear"}`} data-refer={String(findings.refer)} role="status">
      {findings.refer ? <ReferIcon /> : <ClearIcon />}
      <div>
        <p class="verdict-word">{findings.refer ? texts.result.refer : texts.result.doNotRefer}</p>
        <p>{findings.refer ? format.fill(texts.result.referWhy, { rules: reached.join(", ") }) : texts.result.doNotReferWhy}</p>
      </div>
    </div>
  );
}
