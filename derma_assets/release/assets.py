"""The asset `external_validation_of_release`: the released model on data sets of others, with nothing trained."""

from pathlib import Path

import dagster as dg

from derma_assets.evaluation.external_assets import EXTERNAL_DATASETS, READ_SETTINGS, content_of_folder
from derma_assets.evaluation.external_run import materialized, validate
from derma_assets.release.layout import RELEASE
from derma_assets.release.model import released_model
from derma_assets.release.unpacked import said_of
from derma_assets.settings import settings
from derma_assets.stage import stage_asset


def _manifest() -> list[Path]:
    """Return the release's manifest, if there is one: it names every other file with its hash."""
    path = settings().release / RELEASE
    return [path] if path.is_file() else []


@stage_asset(
    "evaluation",
    kinds={"keras", "numpy"},
    io_manager_key="table",
    code_version="2",
    reads_settings=READ_SETTINGS,
    automatic=False,
    reads_files=_manifest,
    also=content_of_folder,
    partitions_def=EXTERNAL_DATASETS,
)
def external_validation_of_release(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The same figures as `external_validation`, of the model in `data/release`: a fresh clone can make them.

    Its large kernels are in half precision, which moves a logit by hundredths at most. Pictures that look like one
    that it has learnt from are left out.
    """
    chosen = settings()
    found = validate(chosen.external_datasets[context.partition_key], released_model(chosen.release), chosen)
    return materialized(found, dg.MetadataValue.text(said_of(chosen.release)))
