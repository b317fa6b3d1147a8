"""Checks of the stage `browser`: the bundle in a real browser against Keras, and what it costs to download."""

from pathlib import Path

import dagster as dg
import pandas as pd

from derma_assets.asset_checks import asset_check
from derma_assets.browser.assets import tfjs_bundle as tfjs_bundle_asset
from derma_assets.browser.bundle import read_manifest
from derma_assets.browser.chromium import ADVICE, BrowserUnavailable, find_browser
from derma_assets.browser.conversion import VARIANTS
from derma_assets.browser.download_size import LIMIT_BYTES, first_visit
from derma_assets.browser.parity import measure_parity
from derma_assets.browser.parity_record import has_passed, record_parity
from derma_assets.browser.quantisation import reference_of
from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.spread import spread_rows
from derma_assets.errors import UserError
from derma_assets.reuse import reusing_check
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.ui_metadata import table_preview

TEST_PICTURES = 512


_COMPARED = ("tfjs_model", "trained_model", "input_guard", "image_arrays", "training_set")


@asset_check(
    asset=tfjs_bundle_asset,
    blocking=True,
    additional_ins={name: dg.AssetIn(name) for name in _COMPARED},
    required_resource_keys={"reuse"},
)
@reusing_check(
    made_of=("tfjs_bundle", "tfjs_model", "trained_model", "input_guard", "training_set"),
    version="1",
    stands=has_passed,
)
def browser_parity(
    tfjs_bundle: Path,
    tfjs_model: Path,
    trained_model: StoredModel,
    input_guard: Path,
    image_arrays: Path,
    training_set: pd.DataFrame,
) -> dg.AssetCheckResult:
    """The page in real Chromium computes what Keras computes, from the picture file to the logits.

    On test pictures: logits of the float32 variant within 1e-4, or 1e-4 of the picture's largest; the bundle's own
    variant, on one thread and on several, with the same first diagnosis in 99 of 100; the other variants reported, as
    are graphics processors, which the page tries itself and uses only if they agree; activation maps average to the
    logits; unfamiliarity is the guard's; the bundle's files are as its manifest says. On generated picture files: the
    page's tensor equals Python's, bit for bit from PNG, reported from JPEG. Without a browser nothing is known: a
    warning, and such a bundle can be looked at but not released.
    """
    try:
        browser = find_browser(settings().browser)
        if browser is None:
            raise BrowserUnavailable(f"no browser found. {ADVICE}")
        arrays = ImageArrays.open(image_arrays)
        test = labelled_pictures(arrays, training_set[training_set["split"] == TEST])
        pixels = arrays.pixels[spread_rows(test.rows, TEST_PICTURES)]
        reference = reference_of(trained_model.load(), read_guard(input_guard).familiarity, pixels)
        parity = measure_parity(browser, tfjs_bundle, tfjs_model, pixels, reference)
    except BrowserUnavailable as error:
        record_parity(tfjs_bundle, "not run", str(error))
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"not run: {error}",
            metadata={"parity": f"not run: {error}"},
        )
    except UserError as error:
        record_parity(tfjs_bundle, "failed", str(error))
        return dg.AssetCheckResult(passed=False, description=str(error))
    compared = parity.outputs[parity.outputs["state"] == "compared"].to_dict("records")
    found = "; ".join(parity.problems) or f"agrees with Keras on {len(pixels)} test pictures"
    record_parity(tfjs_bundle, "failed" if parity.problems else "passed", found)
    return dg.AssetCheckResult(
        passed=not parity.problems,
        description=found,
        metadata={
            "browser": parity.browser,
            "test_pictures": len(pixels),
            "seconds": parity.seconds,
            **{
                f"{row['model']}_on_{row['backend'].replace('-', '_')}_{measure}": float(row[measure])
                for row in compared
                for measure in ("max_logit_difference", "top1_agreement")
            },
            "outputs": table_preview(parity.outputs, decimals=7),
            "preprocessing": table_preview(parity.preprocessing, rows=len(parity.preprocessing), decimals=6),
        },
    )


@asset_check(asset=tfjs_bundle_asset, blocking=True)
def download_size(tfjs_bundle: Path) -> dg.AssetCheckResult:
    """A first visit downloads at most 4.0 MB, page and model, compressed; only warned of where that was chosen.

    The variants float16 and float32 are larger than that by themselves.
    """
    manifest = read_manifest(tfjs_bundle)
    visit = first_visit(tfjs_bundle, manifest)
    smallest_chosen = manifest["model"]["variant"] == VARIANTS[-1]
    return dg.AssetCheckResult(
        passed=visit.compressed <= LIMIT_BYTES,
        severity=dg.AssetCheckSeverity.ERROR if smallest_chosen else dg.AssetCheckSeverity.WARN,
        description=f"{visit.compressed / 1e6:.2f} MB of {LIMIT_BYTES / 1e6:.1f} MB",
        metadata={
            "page_bytes": visit.page,
            "model_bytes": visit.model,
            "bytes": visit.compressed,
            "bytes_with_weights_as_stored": visit.weights_as_stored,
        },
    )
