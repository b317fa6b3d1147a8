"""Assets of the stage `browser`: the model in the browser's format, the page, and the folder a clinic hosts."""

import time
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.browser import web_build
from derma_assets.browser.bundle import Findings, describe, write_bundle
from derma_assets.browser.conversion import export_variants
from derma_assets.browser.download_size import first_visit
from derma_assets.browser.graph_model import deployed_model
from derma_assets.browser.quantisation import Pictures, compare_variants, reference_of
from derma_assets.browser.variants import read_variants, write_variants
from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.spread import spread_rows
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST, TRAIN
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_folder, fingerprint_json, fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.ui_metadata import note, table_preview

# Training pictures that the 8-bit rounding is chosen on; with 64 or 512 of HAM10000's it does as well.
ROUNDING_PICTURES = 256


@stage_asset(
    "browser", kinds={"tensorflow", "javascript"}, io_manager_key="folder", code_version="2", of_training_set=True
)
def tfjs_model(
    trained_model: StoredModel, input_guard: Path, image_arrays: Path, training_set: pd.DataFrame
) -> dg.MaterializeResult:
    """The classifier as TF.js graph models, in three sizes, with logits, class activation maps and unfamiliarity.

    Read the table for what each variant weighs and what it loses on test against the trained model (the row
    `keras`): a variant that loses melanoma ROC-AUC is not worth its saved bytes. DERMA_BUNDLE_VARIANT chooses the one
    that goes into the bundle; the check `browser_parity` stops one whose first diagnosis agrees in less than 99 of 100
    pictures.
    """
    arrays = ImageArrays.open(image_arrays)
    train, test = (labelled_pictures(arrays, training_set[training_set["split"] == side]) for side in (TRAIN, TEST))
    familiarity, model = read_guard(input_guard).familiarity, trained_model.load()
    with building_folder(settings().store, "tfjs_model") as folder:
        started = time.monotonic()
        deployed = deployed_model(model, familiarity)
        export_variants(deployed, folder, arrays.pixels[spread_rows(train.rows, ROUNDING_PICTURES)])
        seconds = time.monotonic() - started
        pictures = Pictures(arrays.pixels.at(test.rows), test.labels)
        reference = reference_of(model, familiarity, pictures.pixels)
        comparison = compare_variants(deployed, folder, pictures, reference)
        made_from = {
            "trained_model": fingerprint_arrays(model.get_weights()),
            "input_guard": fingerprint_folder(input_guard),
            "image_arrays": arrays.fingerprint,
            "training_set": fingerprint_table(training_set),
        }
        write_variants(folder, comparison, made_from)
    figures = comparison.set_index("variant")
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "variants": table_preview(comparison, decimals=5),
            **{f"{variant}_bytes": int(row["bytes"]) for variant, row in figures.iterrows()},
            **{f"{variant}_top1_agreement": float(row["top1_agreement"]) for variant, row in figures.iterrows()},
            "test_pictures": len(test.labels),
            "conversion_seconds": seconds,
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_folder(folder)),
    )


@stage_asset(
    "browser",
    kinds={"typescript", "vite"},
    io_manager_key="folder",
    # The sources are the code: a changed page makes this asset stale in the UI.
    code_version=web_build.sources_fingerprint(),
)
def web_app() -> dg.MaterializeResult:
    """The page that runs in the clinic's browser, built: HTML, script, style and TF.js's WebAssembly back end.

    Read the table of files for what a visitor downloads before the model. Nothing in it comes from elsewhere.
    """
    started = time.monotonic()
    folder = web_build.build_page(settings().root / "build" / "web")
    sizes = web_build.file_sizes(folder)
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "bytes": sum(sizes.values()),
            "build_seconds": time.monotonic() - started,
            "files": table_preview(pd.DataFrame(sizes.items(), columns=["file", "bytes"]), rows=len(sizes)),
            "sources": dg.MetadataValue.path(web_build.SOURCES),
        },
        data_version=dg.DataVersion(fingerprint_folder(folder)),
    )


@stage_asset(
    "browser",
    kinds={"javascript"},
    io_manager_key="folder",
    code_version="2",
    reads_settings=["bundle_variant", "dataset", "time_budget_ms"],
)
def tfjs_bundle(
    tfjs_model: Path,
    web_app: Path,
    view_calibration: dict[str, Any],
    input_guard: Path,
    refusal_rates: pd.DataFrame,
    overall_metrics: pd.DataFrame,
    per_class_metrics: pd.DataFrame,
    subgroup_metrics: pd.DataFrame,
    view_metrics: pd.DataFrame,
) -> dg.MaterializeResult:
    """What a clinic hosts: page, model, and a manifest with labels, thresholds, metrics, versions and every SHA-256.

    Any static host will do, in any folder. Read `manifest` for what the page will say, `download` for what a first
    visit costs from a host that compresses everything, and from one that leaves the model's weights as they are. Until
    the check `browser_parity` has passed, the bundle may be looked at (`make app`) but not released.
    """
    chosen = settings()
    variants = read_variants(tfjs_model)
    findings = Findings(
        overall=overall_metrics,
        per_class=per_class_metrics,
        subgroups=subgroup_metrics,
        views=view_metrics,
        refusals=refusal_rates,
    )
    description = describe(
        dataset=chosen.dataset,
        size=variants.size,
        view_calibration=view_calibration,
        time_budget_ms=chosen.time_budget_ms,
        limits=read_guard(input_guard).document(),
        findings=findings,
        data_versions={
            **variants.made_from,
            "tfjs_model": fingerprint_folder(tfjs_model),
            "web_app": fingerprint_folder(web_app),
            "view_calibration": fingerprint_json(view_calibration),
            "input_guard": fingerprint_folder(input_guard),
            "refusal_rates": fingerprint_table(refusal_rates),
            "overall_metrics": fingerprint_table(overall_metrics),
            "per_class_metrics": fingerprint_table(per_class_metrics),
            "subgroup_metrics": fingerprint_table(subgroup_metrics),
            "view_metrics": fingerprint_table(view_metrics),
        },
    )
    with building_folder(chosen.store, "tfjs_bundle") as folder:
        manifest = write_bundle(folder, web_app, tfjs_model / chosen.bundle_variant, chosen.bundle_variant, description)
        visit = first_visit(folder, manifest)
    (single, *_) = manifest["views"]
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "variant": chosen.bundle_variant,
            "bytes": sum(web_build.file_sizes(folder).values()),
            "download": visit.compressed,
            "download_with_weights_as_stored": visit.weights_as_stored,
            "files": len(manifest["files"]),
            "most_views": max(views["count"] for views in manifest["views"]),
            **{f"{point['key']}_threshold": point["threshold"] for point in single["operating_points"]},
            "manifest": dg.MetadataValue.json(manifest),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_folder(folder)),
    )
