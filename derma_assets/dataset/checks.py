"""Checks of the stage `dataset`."""

import dagster as dg
import pandas as pd

from derma_assets.asset_checks import asset_check
from derma_assets.dataset.assets import raw_images as raw_images_asset
from derma_assets.dataset.manifest import explain_problems, problems
from derma_assets.settings import settings
from derma_assets.ui_metadata import table_preview


@asset_check(asset=raw_images_asset, blocking=True)
def every_picture_readable(raw_images: pd.DataFrame) -> dg.AssetCheckResult:
    """No picture is missing, empty, truncated or something else, but for `DERMA_ALLOWED_UNREADABLE` of them.

    A picture that is silently left out changes the data set that every later figure is about.
    """
    unreadable, allowed = problems(raw_images), settings().allowed_unreadable
    return dg.AssetCheckResult(
        passed=len(unreadable) <= allowed,
        description=explain_problems(raw_images, allowed),
        metadata={
            "unreadable": len(unreadable),
            "allowed": allowed,
            "files": table_preview(unreadable, rows=200) if len(unreadable) else "none",
        },
    )
