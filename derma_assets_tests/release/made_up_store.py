"""A store with all that a release is made of: made-up predictions, a model that was never trained, and a bundle.

It says that it is HAM10000's, since the embedded sample's model is not released.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.browser.bundle import MODEL, Findings, describe, write_bundle
from derma_assets.browser.parity_record import record_parity
from derma_assets.browser.precache import PLACEHOLDER
from derma_assets.browser.variants import write_variants
from derma_assets.release.recompute import recalibrated, recomputed
from derma_assets.settings import Settings
from derma_assets.storage.atomic import copy_folder
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_folder, fingerprint_json, fingerprint_table
from derma_assets.storage.paths import stored_path
from derma_assets_tests import small_study
from derma_assets_tests.calibration import made_up

DATASET = "ham10000"
RESAMPLES = 100
PREVALENCE = 0.02
DATE = "2026-01-31"
MEASURES = ("brightness", "sharpness", "lesion_contrast", "unfamiliarity")


def settings_for(data_dir: Path, **changes: Any) -> Settings:
    """Return settings for which `make_store` made the store below `data_dir`."""
    values: dict[str, Any] = {"recipe": "sample", "epochs": 3, "bootstrap_resamples": RESAMPLES}
    return Settings(data_dir=data_dir, release_dir=data_dir / "release", **{"dataset": DATASET, **values, **changes})


def make_store(
    store: Path, model: Any = None, page: Path | None = None, variants: Path | None = None, size: int = small_study.SIZE
) -> Path:
    """Write the store of a finished run and return it.

    Args:
        store: A new folder.
        model: The classifier.
        page: The built page; a page of two files if left out.
        variants: Folder of the converted models; empty stand-ins if left out.
        size: Side in pixels of the model's input.
    """
    store.mkdir(parents=True)
    model = model or small_study.model()
    model.save(stored_path(store, "trained_model", "keras_model"))
    predictions = made_up.view_predictions()
    targets = {"melanoma": {"target": 0.95}, "referral": {"target": 0.95}}
    calibration = recalibrated(predictions, targets)
    tables = {**recomputed(predictions, calibration, RESAMPLES, 42, PREVALENCE), **_other_tables()}
    single = made_up.predictions()
    splits = pd.concat([_training(), single[["image_id", "lesion_id", "dx", "split"]]], ignore_index=True)
    images = splits[["image_id"]].assign(phash=[f"{number:016x}" for number in range(len(splits))])
    stored = {
        "predictions": single,
        "view_predictions": predictions,
        "training_set": splits.assign(fold=0),
        "raw_images": images,
    }
    for name, table in {**tables, **stored}.items():
        table.to_parquet(stored_path(store, name, "table"))
    for name, document in calibration.documents().items():
        stored_path(store, name, "document").write_text(json.dumps(document))
    guard = stored_path(store, "input_guard", "folder")
    guard.mkdir()
    (guard / "limits.json").write_text("{}")
    models = _models(stored_path(store, "tfjs_model", "folder"), variants, tables["overall_metrics"])
    made_from = {
        "trained_model": fingerprint_arrays(model.get_weights()),
        "training_set": fingerprint_table(stored["training_set"]),
        "input_guard": fingerprint_folder(guard),
        "tfjs_model": fingerprint_folder(models),
        "view_calibration": fingerprint_json(calibration.views),
        **{
            name: fingerprint_table(tables[name])
            for name in ("refusal_rates", "overall_metrics", "per_class_metrics", "subgroup_metrics", "view_metrics")
        },
    }
    _bundle(store, page, models / "float32", calibration.views, tables, made_from, size)
    return store


def _bundle(
    store: Path,
    page: Path | None,
    model: Path,
    views: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    made_from: Mapping[str, str],
    size: int,
) -> None:
    if page is None:
        page = store.with_name("page")
        page.mkdir()
        (page / "index.html").write_text("<!doctype html><title>Made up</title>")
        (page / "sw.js").write_text(f"keep({PLACEHOLDER})")
    findings = Findings(
        overall=tables["overall_metrics"],
        per_class=tables["per_class_metrics"],
        subgroups=tables["subgroup_metrics"],
        views=tables["view_metrics"],
        refusals=tables["refusal_rates"],
    )
    limits = {"measures": [{"name": name, "low": None, "high": None} for name in MEASURES]}
    description = describe(DATASET, size, views, 0, limits, findings, made_from)
    bundle = stored_path(store, "tfjs_bundle", "folder")
    write_bundle(bundle, page, model, "float32", description)
    record_parity(bundle, "passed", "agrees")


def _models(folder: Path, variants: Path | None, overall: pd.DataFrame) -> Path:
    """Write what stands for `tfjs_model`: whatever is in `variants`, with the comparison that fits the predictions."""
    if variants is None:
        for name in ("float32", "float16", "uint8"):
            (folder / name).mkdir(parents=True)
            dim = [{"size": "-1"}, {"size": str(small_study.SIZE)}]
            signature = {"inputs": {"pictures": {"tensorShape": {"dim": dim}}}}
            (folder / name / f"{MODEL}.json").write_text(json.dumps({"signature": signature}))
    else:
        copy_folder(variants, folder)
    values = overall.set_index("metric")["value"]
    comparison = [{"variant": "keras", "accuracy": values["accuracy"], "macro_f1": values["macro_f1"]}]
    write_variants(folder, pd.DataFrame(comparison), {})
    return folder


def _other_tables() -> dict[str, pd.DataFrame]:
    """Return the tables that do not follow from the predictions, of a row or three."""
    row = {"value": 0.7, "low": 0.6, "high": 0.8, "images": 3, "lesions": 2}
    refused = {"pictures": 100, "refused": 1, "share": 0.01, "low": 0.0, "high": 0.05}
    return {
        "subgroup_metrics": pd.DataFrame([{"attribute": "sex", "group": "female", "metric": "accuracy", **row}]),
        "refusal_rates": pd.DataFrame([{"kind": "good", "bad": False, **refused}]),
        "training_history": pd.DataFrame({"epoch": [1, 2, 3], "kept": [False, True, False]}),
    }


def _training() -> pd.DataFrame:
    names = [f"train_{number}" for number in range(4)]
    return pd.DataFrame({"image_id": [f"{name}_0" for name in names], "lesion_id": names, "dx": "nv", "split": "train"})


def copied(store: Path, data_dir: Path) -> Path:
    """Copy a made-up store to where `settings_for(data_dir)` looks for it, and return that folder."""
    target = data_dir / "store" / DATASET
    shutil.copytree(store, target)
    return target
