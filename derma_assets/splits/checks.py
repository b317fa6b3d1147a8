"""Checks of the stage `splits`."""

import dagster as dg
import pandas as pd

from derma_assets.asset_checks import asset_check
from derma_assets.splits.assets import grouped_splits as grouped_splits_asset
from derma_assets.splits.assets import leakage_audit as leakage_audit_asset
from derma_assets.splits.split_quality import class_shares, classes_missing, lesions_on_two_sides
from derma_assets.ui_metadata import table_preview


@asset_check(asset=grouped_splits_asset, blocking=True)
def no_lesion_on_two_sides(grouped_splits: pd.DataFrame) -> dg.AssetCheckResult:
    """No lesion has pictures on two sides: else the test would measure memory, not skill."""
    leaked = lesions_on_two_sides(grouped_splits)
    return dg.AssetCheckResult(
        passed=not leaked,
        description=f"{len(leaked)} lesions on two sides" + (f", for example {leaked[0]}" if leaked else ""),
        metadata={"lesions_on_two_sides": len(leaked), "first": dg.MetadataValue.json(leaked[:20])},
    )


@asset_check(asset=grouped_splits_asset, blocking=True)
def class_shares_within_tolerance(grouped_splits: pd.DataFrame) -> dg.AssetCheckResult:
    """Each diagnosis's share of a side's lesions differs from its share of all by at most 2 points and one lesion."""
    shares = class_shares(grouped_splits)
    outside = shares[~shares["within"]]
    return dg.AssetCheckResult(
        passed=outside.empty,
        description=f"{len(outside)} shares out of tolerance"
        + ("" if outside.empty else f", for example {outside.iloc[0]['dx']} on {outside.iloc[0]['split']}"),
        metadata={
            "largest_difference": float(shares["difference"].max()),
            "shares": table_preview(shares, rows=len(shares)),
        },
    )


@asset_check(asset=grouped_splits_asset, blocking=True)
def every_class_on_every_side(grouped_splits: pd.DataFrame) -> dg.AssetCheckResult:
    """Every diagnosis is on every side: one that is missing could not be learnt, calibrated or measured."""
    missing = [f"{dx} on {side}" for side, dx in classes_missing(grouped_splits)]
    return dg.AssetCheckResult(
        passed=not missing,
        description=f"missing: {', '.join(missing)}" if missing else "all diagnoses are on all sides",
        metadata={"missing": len(missing)},
    )


@asset_check(asset=leakage_audit_asset)
def near_duplicates_across_sides(leakage_audit: pd.DataFrame) -> dg.AssetCheckResult:
    """No pictures of different lesions look alike across sides; a warning, because look-alikes can be two lesions."""
    exact = int(leakage_audit["exact"].sum())
    return dg.AssetCheckResult(
        passed=leakage_audit.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(leakage_audit)} pairs of look-alikes across sides, {exact} of them the same file",
        metadata={"pairs": len(leakage_audit), "same_file_pairs": exact},
    )
