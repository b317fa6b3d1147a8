/** The rules behind the verdict: score, threshold, and what they did on validation. */

import type { Rule } from "../findings";
import { useLanguage } from "../i18n/language";

export function Rules({ rules }: { rules: Rule[] }) {
  const { texts, format } = useLanguage();
  const nameOf = ({ point }: Rule): string =>
    texts.result.ruleNames[point.key as keyof typeof texts.result.ruleNames] ?? point.name;
  return (
    <section class="card rules">
      <h2>{texts.result.rulesTitle}</h2>
      <div class="table-scroll" tabIndex={0} role="region" aria-label={texts.result.rulesTitle}>
        <table id="rules">
          <thead>
            <tr>
              <th scope="col">{texts.result.rule}</th>
              <th scope="col" class="number">
                {texts.result.score}
              </th>
              <th scope="col" class="number">
                {texts.result.threshold}
              </th>
              <th scope="col">{texts.result.state}</th>
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <tr key={rule.point.key} data-rule={rule.point.key} data-reached={String(rule.reached)}>
                <th scope="row">{nameOf(rule)}</th>
                <td class="number">{format.share(rule.score)}</td>
                <td class="number">{format.percent(rule.point.threshold, 1)}</td>
                <td>{rule.reached ? <strong>{texts.result.reached}</strong> : texts.result.below}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rules.map(
        (rule) =>
          rule.point.sensitivity !== null &&
          rule.point.specificity !== null && (
            <p key={rule.point.key} class="soft">
              {format.fill(texts.result.ruleNote, {
                rule: nameOf(rule),
                sensitivity: format.percent(rule.point.sensitivity, 0),
                specificity: format.percent(rule.point.specificity, 0),
              })}
            </p>
          ),
      )}
    </section>
  );
}
