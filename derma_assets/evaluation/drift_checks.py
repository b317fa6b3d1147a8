"""A warning before a training, where what arrived is unlike what is known."""

import dagster as dg
import pandas as pd

from derma_assets.asset_checks import asset_check
from derma_assets.evaluation.drift import drifted
from derma_assets.evaluation.drift_assets import data_drift as data_drift_asset


@asset_check(asset=data_drift_asset)
def arrivals_are_like_what_is_known(data_drift: pd.DataFrame) -> dg.AssetCheckResult:
    """No measure of the new pictures lies far from that of the known ones; a warning, as a new clinic may be right."""
    found = drifted(data_drift)
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"drifted: {found}" if found else "nothing has drifted",
        metadata={"drifted": int(data_drift["drifted"].sum()), "largest_distance": float(data_drift["distance"].max())},
    )
