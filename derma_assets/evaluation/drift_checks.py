"""A warning before a training, where what arrived is unlike what is known."""

import dagster as dg
import pandas as pd

from derma_assets.evaluation.drift_assets import data_drift as data_drift_asset


@dg.asset_check(asset=data_drift_asset)
def arrivals_are_like_what_is_known(data_drift: pd.DataFrame) -> dg.AssetCheckResult:
    """No measure of the new pictures lies far from that of the known ones; a warning, as a new clinic may be right."""
    drifted = data_drift[data_drift["drifted"]]
    said = [f"{row.measure} (distance {row.distance:.2f})" for row in drifted.itertuples()]
    return dg.AssetCheckResult(
        passed=drifted.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"drifted: {', '.join(said)}" if said else "nothing has drifted",
        metadata={"drifted": len(drifted), "largest_distance": float(data_drift["distance"].max())},
    )
