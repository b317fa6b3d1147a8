/** Tables of measured figures, each with its interval. */

import { Fragment, type ComponentChildren } from "preact";

import { useLanguage } from "../i18n/language";
import type { Manifest, MetricRow, SubgroupRow } from "../manifest";

interface TableProps {
  id: string;
  title: string;
  head: string[];
  children: ComponentChildren;
}

function FigureTable({ id, title, head, children }: TableProps) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <div class="table-scroll" tabIndex={0} role="region" aria-label={title}>
        <table id={id}>
          <thead>
            <tr>
              {head.map((words, column) => (
                <th key={words} scope="col" class={column ? "number" : ""}>
                  {words}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      </div>
    </section>
  );
}

/** A figure with its interval below. */
function FigureCell({ row }: { row: MetricRow | undefined }) {
  const { format } = useLanguage();
  if (!row || row.value === null) return <td class="number">–</td>;
  return (
    <td class="number">
      {format.number(row.value, 3)}
      {row.low !== null && row.high !== null && (
        <small>
          {format.number(row.low, 3)}–{format.number(row.high, 3)}
        </small>
      )}
    </td>
  );
}

export function MetricTables({ manifest }: { manifest: Manifest }) {
  const { texts } = useLanguage();
  const { overall, per_class: perClass, subgroups, views } = manifest.metrics;
  const nameOf = (metric: string): string => texts.about.metrics[metric] ?? metric;
  const metrics = [...new Set(perClass.map(({ metric }) => metric))];
  const attributes = [...new Set(subgroups.map(({ attribute }) => attribute))];
  return (
    <>
      <FigureTable id="overall" title={texts.about.overallTitle} head={[texts.about.figure, texts.about.value]}>
        {overall.map((row) => (
          <tr key={row.metric}>
            <th scope="row">{nameOf(row.metric)}</th>
            <FigureCell row={row} />
          </tr>
        ))}
      </FigureTable>
      <p class="soft">{texts.about.overallNote}</p>
      <FigureTable
        id="per-class"
        title={texts.about.perClassTitle}
        head={[texts.report.diagnosis, texts.about.lesions, ...metrics.map(nameOf)]}
      >
        {manifest.labels.map(({ code }) => {
          const rows = perClass.filter(({ dx }) => dx === code);
          return (
            <tr key={code}>
              <th scope="row">{texts.diagnoses[code as keyof typeof texts.diagnoses].name}</th>
              <td class="number">{rows[0]?.lesions ?? "–"}</td>
              {metrics.map((metric) => (
                <FigureCell key={metric} row={rows.find((row) => row.metric === metric)} />
              ))}
            </tr>
          );
        })}
      </FigureTable>
      {attributes.length > 0 && <h2>{texts.about.subgroupTitle}</h2>}
      {attributes.map((attribute) => (
        <Fragment key={attribute}>
          <Subgroups attribute={attribute} rows={subgroups.filter((row) => row.attribute === attribute)} />
          {attribute === "skin_tone" && <p class="soft">{texts.about.skinToneNote}</p>}
        </Fragment>
      ))}
      {views.length > 0 && <ViewsTable views={views} nameOf={nameOf} />}
    </>
  );
}

function Subgroups({ attribute, rows }: { attribute: string; rows: SubgroupRow[] }) {
  const { texts } = useLanguage();
  const metrics = [...new Set(rows.map(({ metric }) => metric))];
  const groups = [...new Set(rows.map(({ group }) => group))];
  return (
    <FigureTable
      id={`subgroup-${attribute}`}
      title={texts.about.attributes[attribute] ?? attribute}
      head={[texts.about.group, texts.about.lesions, ...metrics.map((metric) => texts.about.metrics[metric] ?? metric)]}
    >
      {groups.map((group) => {
        const own = rows.filter((row) => row.group === group);
        return (
          <tr key={group}>
            <th scope="row">{texts.about.groups[group] ?? group}</th>
            <td class="number">{own[0]!.lesions}</td>
            {metrics.map((metric) => (
              <FigureCell key={metric} row={own.find((row) => row.metric === metric)} />
            ))}
          </tr>
        );
      })}
    </FigureTable>
  );
}

interface ViewsProps {
  views: Manifest["metrics"]["views"];
  nameOf(metric: string): string;
}

function ViewsTable({ views, nameOf }: ViewsProps) {
  const { texts } = useLanguage();
  const metrics = [...new Set(views.map(({ metric }) => metric))];
  const counts = [...new Set(views.map(({ count }) => count))];
  return (
    <FigureTable id="views" title={texts.about.viewsTitle} head={[texts.about.viewsCount, ...metrics.map(nameOf)]}>
      {counts.map((count) => (
        <tr key={count}>
          <th scope="row">{count}</th>
          {metrics.map((metric) => (
            <FigureCell key={metric} row={views.find((row) => row.count === count && row.metric === metric)} />
          ))}
        </tr>
      ))}
    </FigureTable>
  );
}

/** How many pictures of each kind are refused. */
export function RefusalTable({ manifest }: { manifest: Manifest }) {
  const { texts, format } = useLanguage();
  const { refusals } = manifest.guard;
  if (!refusals.length) return null;
  return (
    <FigureTable
      id="refusals"
      title={texts.about.refusalTitle}
      head={[texts.about.refusalKind, texts.about.pictures, texts.about.refusalShare]}
    >
      {refusals.map(({ kind, pictures, share, low, high }) => (
        <tr key={kind}>
          <th scope="row">{texts.about.kinds[kind] ?? kind}</th>
          <td class="number">{pictures}</td>
          <td class="number">
            {format.percent(share, 1)}
            {low !== null && high !== null && (
              <small>
                {format.percent(low, 1)}–{format.percent(high, 1)}
              </small>
            )}
          </td>
        </tr>
      ))}
    </FigureTable>
  );
}
