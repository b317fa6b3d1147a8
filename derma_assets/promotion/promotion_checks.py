"""Whether the newest bundle was found good enough to be served."""

from typing import Any

import dagster as dg

from derma_assets.asset_checks import asset_check
from derma_assets.promotion.promotion_assets import released_bundle as released_bundle_asset


@asset_check(asset=released_bundle_asset)
def new_bundle_is_served(released_bundle: dict[str, Any]) -> dg.AssetCheckResult:
    """The newest bundle is the one that is served; a warning that says what stopped it if not."""
    against = released_bundle["against"]
    return dg.AssetCheckResult(
        passed=not against,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(against) or f"number {released_bundle['served']} is served",
    )
