"""The asset `model_card`: everything that is known of the model, on one page to read, print and sign."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from derma_assets.evaluation.model_card.blocks import keys
from derma_assets.evaluation.model_card.card import HTML, MARKDOWN, fingerprint, in_short, write_card
from derma_assets.evaluation.model_card.evidence import Made, Provenance
from derma_assets.evaluation.model_card.gather import INPUTS, gathered, stored_studies, study_files
from derma_assets.evaluation.model_card.provenance import file_times, git_commit, package_versions
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_arrays
from derma_assets.storage.paths import building_folder, stored_path
from derma_assets.ui_metadata import note


@stage_asset(
    "evaluation",
    kinds={"html", "markdown"},
    io_manager_key="folder",
    code_version="2",
    reads_settings=["dataset", "seed", "bootstrap_resamples", "clinic_prevalence"],
    reads_files=lambda: study_files(settings().store),
    ins={name: dg.AssetIn(name) for name in INPUTS},
)
def model_card(context: dg.AssetExecutionContext, **assets: Any) -> dg.MaterializeResult:
    """One page on the model for a clinician, a statistician or an authority: to read, print and sign.

    HTML that fetches nothing, and the same as Markdown: what the model is for, the data, the training, every figure on
    test with its interval, whom it fails, and two reporting checklists (CLAIM 2024, TRIPOD+AI), which also say what was
    not done. It holds no photographs, so it may be passed on. Cross-validation, data sets of others and trials are in
    it if they were stored before; they are no inputs, so they do not make a card stale.
    """
    chosen = settings()
    events = {name: context.instance.get_latest_materialization_event(dg.AssetKey(name)) for name in INPUTS}
    made = {name: _made(event) for name, event in events.items() if event is not None}
    provenance = Provenance(
        at=datetime.now(UTC),
        commit=git_commit(),
        packages=package_versions(),
        made={**file_times(chosen.store, INPUTS), **made},
    )
    model = assets["trained_model"].load()
    # The run that stored this model, not another.
    is_of_model = fingerprint_arrays(model.get_weights()) == (
        made["trained_model"].data_version if "trained_model" in made else None
    )
    record = _training_record(events["trained_model"]) if is_of_model else None
    evidence = gathered(
        {**assets, "trained_model": model}, chosen, record, stored_studies(chosen.store, chosen.is_synthetic)
    )
    with building_folder(chosen.store, "model_card") as folder:
        sections = write_card(evidence, provenance, folder)
        bytes_of = {name: (folder / name).stat().st_size for name in (HTML, MARKDOWN)}
    stored = stored_path(chosen.store, "model_card", "folder")
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "page": dg.MetadataValue.path(str(stored / HTML)),
            "markdown": dg.MetadataValue.path(str(stored / MARKDOWN)),
            "html_bytes": bytes_of[HTML],
            "sections": len(keys(sections)),
            "weights": evidence.model.fingerprint,
            "in_short": dg.MetadataValue.md(in_short(sections)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint(sections)),
    )


def _made(event: dg.EventLogEntry) -> Made:
    materialization = event.asset_materialization
    tags: Mapping[str, str] = (materialization.tags if materialization else None) or {}
    return Made(datetime.fromtimestamp(event.timestamp, UTC), tags.get("dagster/data_version", ""))


def _training_record(event: dg.EventLogEntry | None) -> dict[str, Any] | None:
    materialization = event.asset_materialization if event else None
    metadata = materialization.metadata if materialization else {}
    wanted = ("recipe", "backbone")
    return {name: metadata[name].value for name in wanted} if set(wanted) <= set(metadata) else None
