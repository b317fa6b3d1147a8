/** What the model is for, what it cannot do, and how good it was measured to be. */

import type { Engine } from "../engine/types";
import { useLanguage } from "../i18n/language";
import type { Manifest } from "../manifest";
import { DeviceMeasurement } from "./DeviceMeasurement";
import { MetricTables, RefusalTable } from "./MetricTables";
import { Screen } from "./Screen";

export function About({ manifest, engine }: { manifest: Manifest; engine: Engine }) {
  const { texts } = useLanguage();
  const { about } = texts;
  return (
    <Screen title={about.title} className="about">
      <section class="card">
        <h2>{about.intendedTitle}</h2>
        <p>{about.intended}</p>
      </section>
      <section class="card">
        <h2>{about.limitsTitle}</h2>
        <ul class="tips">
          {about.limits.map((limit) => (
            <li key={limit}>{limit}</li>
          ))}
        </ul>
      </section>
      <section class="card">
        <dl class="facts">
          <dt>{about.trainedOn}</dt>
          <dd lang="en">{manifest.dataset.name}</dd>
          <dt>{about.licence}</dt>
          <dd lang="en">{manifest.dataset.licence}</dd>
        </dl>
      </section>
      <MetricTables manifest={manifest} />
      <RefusalTable manifest={manifest} />
      <DeviceMeasurement engine={engine} />
      <section class="card">
        <h2>{about.versionsTitle}</h2>
        <div class="table-scroll" tabIndex={0} role="region" aria-label={about.versionsTitle}>
          <table id="versions">
            <thead>
              <tr>
                <th scope="col">{about.part}</th>
                <th scope="col">{about.version}</th>
              </tr>
            </thead>
            <tbody>
              {Object.entries({ ...manifest.versions.code, ...manifest.versions.data }).map(([part, version]) => (
                <tr key={part}>
                  <th scope="row">{part}</th>
                  <td>{version}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </Screen>
  );
}
