"""Assets of the stage `browser`: the model in the browser's format, the page, and the folder a clinic hosts."""

import time
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.browser import web_build
from derma_assets.browser.bundle import describe, write_bundle
from derma_assets.browser.graph_model import export_variants, fold_batch_normalisation
from derma_assets.browser.quantisation import Pictures, compare_variants
from derma_assets.browser.variants import read_variants, write_variants
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_folder, fingerprint_json, fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.ui_metadata import note, table_preview


@stage_asset("browser", kinds={"tensorflow", "javascript"}, io_manager_key="folder", code_version="1")
def tfjs_model(trained_model, image_arrays: Path, grouped_splits: pd.DataFrame) -> dg.MaterializeResult:  # type: ignore[no-untyped-def]
    """The classifier as TF.js graph models, in three sizes, with logits and class activation maps as outputs.

    Read the table for what each variant weighs and what it loses on test against the trained model (the row
    `keras`): a variant that loses melanoma ROC-AUC is not worth its saved bytes. DERMA_BUNDLE_VARIANT chooses the one
    that goes into the bundle; the check `browser_parity` stops one whose first diagnosis agrees too seldom (float16:
    less than 95 times in 100, uint8: 90).
    """
    arrays = ImageArrays.open(image_arrays)
    test = labelled_pictures(arrays, grouped_splits[grouped_splits["split"] == TEST])
    with building_folder(settings().store, "tfjs_model") as folder:
        started = time.monotonic()
        folded = fold_batch_normalisation(trained_model)
        export_variants(folded, folder)
        seconds = time.monotonic() - started
        comparison = compare_variants(trained_model, folded, folder, Pictures(arrays.pixels[test.rows], test.labels))
        made_from = {
            "trained_model": fingerprint_arrays(trained_model.get_weights()),
            "image_arrays": arrays.fingerprint,
            "grouped_splits": fingerprint_table(grouped_splits),
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
    code_version="1",
    reads_settings=["bundle_variant", "dataset"],
)
def tfjs_bundle(
    tfjs_model: Path,
    web_app: Path,
    calibrated_temperature: dict[str, Any],
    operating_points: dict[str, Any],
    overall_metrics: pd.DataFrame,
    per_class_metrics: pd.DataFrame,
) -> dg.MaterializeResult:
    """What a clinic hosts: page, model, and a manifest with labels, thresholds, metrics, versions and every SHA-256.

    Any static host will do, in any folder. Read `manifest` for what the page will say. Until the check `browser_parity`
    has passed, the bundle may be looked at (`make app`) but not released.
    """
    chosen = settings()
    variants = read_variants(tfjs_model)
    description = describe(
        dataset=chosen.dataset,
        size=variants.size,
        temperature=calibrated_temperature,
        operating_points=operating_points,
        overall_metrics=overall_metrics,
        per_class_metrics=per_class_metrics,
        data_versions={
            **variants.made_from,
            "tfjs_model": fingerprint_folder(tfjs_model),
            "web_app": fingerprint_folder(web_app),
            "calibrated_temperature": fingerprint_json(calibrated_temperature),
            "operating_points": fingerprint_json(operating_points),
            "overall_metrics": fingerprint_table(overall_metrics),
            "per_class_metrics": fingerprint_table(per_class_metrics),
        },
    )
    with building_folder(chosen.store, "tfjs_bundle") as folder:
        manifest = write_bundle(folder, web_app, tfjs_model / chosen.bundle_variant, chosen.bundle_variant, description)
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "variant": chosen.bundle_variant,
            "bytes": sum(web_build.file_sizes(folder).values()),
            "files": len(manifest["files"]),
            "referral_threshold": float(operating_points["referral"]["threshold"]),
            "melanoma_threshold": float(operating_points["melanoma"]["threshold"]),
            "manifest": dg.MetadataValue.json(manifest),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_folder(folder)),
    )
