"""Gathers what a card is made of: assets by name, and the studies that happen to be stored."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.browser.bundle import read_manifest
from derma_assets.browser.download_size import first_visit
from derma_assets.browser.parity_record import parity_of
from derma_assets.browser.variants import read_variants
from derma_assets.calibration.input_guard import read_guard
from derma_assets.evaluation.data_quality import DataQuality
from derma_assets.evaluation.model_card.evidence import Chosen, Evidence, Studies
from derma_assets.evaluation.model_card.model_facts import model_facts, training_of
from derma_assets.settings import Settings
from derma_assets.storage.published import fetched_partitions, fetched_path
from derma_assets.study.rows import COMMITTED

# Assets that the card shows as they are: fields of `Evidence` by the same name.
AS_THEY_ARE = (
    "raw_metadata",
    "raw_images",
    "grouped_splits",
    "leakage_audit",
    "skin_tone",
    "training_history",
    "predictions",
    "calibrated_temperature",
    "operating_points",
    "view_calibration",
    "overall_metrics",
    "per_class_metrics",
    "confusion_matrix",
    "reliability",
    "view_metrics",
    "risk_coverage",
    "decision_curve",
    "class_calibration",
    "subgroup_metrics",
    "subgroup_gaps",
    "explanations",
    "refusal_rates",
    "latency_benchmark",
)
INPUTS = (*AS_THEY_ARE, "data_quality", "trained_model", "input_guard", "tfjs_model", "tfjs_bundle")
TRIALS, TEST_LOOKS = COMMITTED, COMMITTED.with_name("test_looks.csv")


def gathered(
    assets: Mapping[str, Any], chosen: Settings, record: Mapping[str, Any] | None, studies: Studies
) -> Evidence:
    """Return what a card is made of.

    Args:
        assets: The value of each of `INPUTS`, by name.
        chosen: Today's settings.
        record: `recipe` and `backbone` as the training run recorded them, if it did.
        studies: What was studied beside the graph.
    """
    bundle: Path = assets["tfjs_bundle"]
    manifest = read_manifest(bundle)
    return Evidence(
        chosen=Chosen(
            chosen.dataset, chosen.is_synthetic, chosen.seed, chosen.bootstrap_resamples, chosen.clinic_prevalence
        ),
        model=model_facts(assets["trained_model"]),
        training=training_of(chosen, record),
        data_quality=DataQuality.read(assets["data_quality"]),
        limits=read_guard(assets["input_guard"]).document(),
        variants=read_variants(assets["tfjs_model"]),
        manifest=manifest,
        first_visit=first_visit(bundle, manifest),
        parity=parity_of(bundle),
        studies=studies,
        **{name: assets[name] for name in AS_THEY_ARE},
    )


def study_files(store: Path) -> list[Path]:
    """Return the files that `stored_studies` reads, of those that are there."""
    summary = fetched_path(store, "cross_validation_summary", "table")
    external = fetched_partitions(store, "external_validation", "table").values()
    return [path for path in (summary, *external, TRIALS, TEST_LOOKS) if path.exists()]


def stored_studies(store: Path, synthetic: bool, trials: Path = TRIALS, test_looks: Path = TEST_LOOKS) -> Studies:
    """Return the studies that are there.

    Args:
        store: Of the data set.
        synthetic: Whether it is the embedded sample's, whose recipe no trial was run for.
        trials: The file of the trials, with a header.
        test_looks: The file of the looks at test, with a header.
    """
    summary = fetched_path(store, "cross_validation_summary", "table")
    external = fetched_partitions(store, "external_validation", "table")
    model = fetched_path(store, "trained_model", "keras_model")
    trained = model.stat().st_mtime if model.exists() else 0.0
    return Studies(
        external={name: pd.read_parquet(path) for name, path in external.items()},
        older_than_the_model=tuple(name for name, path in external.items() if path.stat().st_mtime < trained),
        cross_validation=pd.read_parquet(summary) if summary.exists() else None,
        trials=None if synthetic else _table(trials),
        test_looks=None if synthetic else _table(test_looks),
    )


def _table(path: Path) -> pd.DataFrame | None:
    return pd.read_csv(path) if path.exists() else None


assert set(AS_THEY_ARE) <= {field.name for field in fields(Evidence)}
