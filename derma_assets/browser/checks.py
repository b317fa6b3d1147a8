"""Checks of the stage `browser`: the bundle in a real browser against Keras."""

from pathlib import Path

import dagster as dg
import pandas as pd

from derma_assets.browser.assets import tfjs_bundle as tfjs_bundle_asset
from derma_assets.browser.chromium import ADVICE, BrowserUnavailable, find_browser
from derma_assets.browser.parity import measure_parity, spread_rows
from derma_assets.browser.quantisation import logits_of
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.errors import UserError
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.ui_metadata import table_preview

TEST_PICTURES = 48


@dg.asset_check(
    asset=tfjs_bundle_asset,
    blocking=True,
    additional_ins={
        name: dg.AssetIn(name) for name in ("tfjs_model", "trained_model", "image_arrays", "grouped_splits")
    },
)
def browser_parity(  # type: ignore[no-untyped-def]
    tfjs_bundle: Path, tfjs_model: Path, trained_model, image_arrays: Path, grouped_splits: pd.DataFrame
) -> dg.AssetCheckResult:
    """The page in real Chromium computes what Keras computes, from the picture file to the logits.

    On test pictures: logits of the float32 variant within 1e-4, the bundle's own variant with the same first diagnosis
    nearly always, the others reported; activation maps average to the logits; the bundle's files are as its manifest
    says. On generated picture files: the page's tensor equals Python's, bit for bit from PNG, reported from JPEG.
    Without a browser nothing is known: a warning, and such a bundle can be looked at but not released.
    """
    try:
        browser = find_browser(settings().browser)
        if browser is None:
            raise BrowserUnavailable(f"no browser found. {ADVICE}")
        arrays = ImageArrays.open(image_arrays)
        test = labelled_pictures(arrays, grouped_splits[grouped_splits["split"] == TEST])
        pixels = arrays.pixels[spread_rows(test.rows, TEST_PICTURES)]
        parity = measure_parity(browser, tfjs_bundle, tfjs_model, pixels, logits_of(trained_model, pixels))
    except BrowserUnavailable as error:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"not run: {error}",
            metadata={"parity": f"not run: {error}"},
        )
    except UserError as error:
        return dg.AssetCheckResult(passed=False, description=str(error))
    figures = parity.outputs.set_index("model")
    return dg.AssetCheckResult(
        passed=not parity.problems,
        description="; ".join(parity.problems) or f"agrees with Keras on {len(pixels)} test pictures",
        metadata={
            "browser": parity.browser,
            "test_pictures": len(pixels),
            "seconds": parity.seconds,
            **{
                f"{model}_max_logit_difference": float(value)
                for model, value in figures["max_logit_difference"].items()
            },
            **{f"{model}_top1_agreement": float(value) for model, value in figures["top1_agreement"].items()},
            "outputs": table_preview(parity.outputs, decimals=7),
            "preprocessing": table_preview(parity.preprocessing, rows=len(parity.preprocessing), decimals=6),
        },
    )
