"""Checks of training."""

import dagster as dg
import pandas as pd

from derma_assets.asset_checks import asset_check
from derma_assets.diagnoses import CODES
from derma_assets.training.predictions import LOGIT_COLUMNS


@asset_check(asset="predictions", blocking=True)
def logits_are_finite(predictions: pd.DataFrame) -> dg.AssetCheckResult:
    """Every logit is a finite number: a model that diverged is not calibrated, measured or shipped."""
    broken = int((~predictions[LOGIT_COLUMNS].apply(pd.to_numeric).abs().lt(float("inf"))).any(axis=1).sum())
    return dg.AssetCheckResult(passed=broken == 0, metadata={"pictures_with_broken_logits": broken})


@asset_check(asset="training_history")
def better_than_chance(training_history: pd.DataFrame) -> dg.AssetCheckResult:
    """On validation the kept epoch has a macro-F1 above that of always answering one class."""
    chance = 2 / len(CODES) / (len(CODES) + 1)
    reached = float(training_history["val_macro_f1"].max())
    return dg.AssetCheckResult(
        passed=reached > chance,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"validation_macro_f1": reached, "chance": chance},
    )
