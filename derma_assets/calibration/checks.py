"""Checks of the stage `calibration`."""

from typing import Any

import dagster as dg

from derma_assets.asset_checks import asset_check
from derma_assets.calibration.assets import calibrated_temperature as calibrated_temperature_asset
from derma_assets.calibration.assets import operating_points as operating_points_asset
from derma_assets.calibration.temperature import lacks_optimum


@asset_check(asset=calibrated_temperature_asset)
def temperature_found(calibrated_temperature: dict[str, Any]) -> dg.AssetCheckResult:
    """The fit found an optimum; a warning, as few and easy validation pictures have none."""
    temperature = calibrated_temperature["temperature"]
    lacking = lacks_optimum(temperature, calibrated_temperature["nll_after"])
    return dg.AssetCheckResult(
        passed=not lacking,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"temperature {temperature:.3f}"
        + (", which is no optimum: validation is too easy, too small or all noise" if lacking else ""),
        metadata={
            "temperature": temperature,
            "nll_change": calibrated_temperature["nll_after"] - calibrated_temperature["nll_before"],
        },
    )


@asset_check(asset=operating_points_asset, blocking=True)
def operating_points_meet_targets(operating_points: dict[str, Any]) -> dg.AssetCheckResult:
    """Each threshold reaches, on validation, the specificity or sensitivity that was asked for."""
    missed = [
        f"{name}: {point['target_of']} {point[point['target_of']]:.3f} instead of {point['target']:.3f}"
        for name, point in operating_points.items()
        if point[point["target_of"]] < point["target"] - 1e-9
    ]
    return dg.AssetCheckResult(passed=not missed, description="; ".join(missed) or "both targets are met")


@asset_check(asset=operating_points_asset)
def operating_points_beat_chance(operating_points: dict[str, Any]) -> dg.AssetCheckResult:
    """Sensitivity and specificity of each threshold add up to more than 1, else a coin would do; a warning."""
    # Youden's J: 0 for a coin, 1 for a perfect call.
    youden = {name: point["sensitivity"] + point["specificity"] - 1 for name, point in operating_points.items()}
    at_chance = [name for name, value in youden.items() if value <= 0]
    return dg.AssetCheckResult(
        passed=not at_chance,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"no better than chance: {', '.join(at_chance)}" if at_chance else "both beat chance",
        metadata={f"{name}_youden_index": value for name, value in youden.items()},
    )
