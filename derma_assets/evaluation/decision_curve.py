"""Decision curve analysis: is referring by the model better than referring everyone or no one?

Net benefit counts each malignant lesion referred as 1 and each benign one referred as the odds of the threshold
probability, at which a person holds the harm of a needless referral against that of a missed cancer (Vickers and Elkin,
"Decision curve analysis", Medical Decision Making 26, 2006).
"""

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.summary import scored
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

# Referral for one cancer among two hundred, up to one among two.
THRESHOLDS = (0.005, *(round(0.01 * step, 2) for step in range(1, 51)))
STRATEGIES = ("model", "everyone", "gain")


def net_benefit(sensitivity: np.ndarray, specificity: np.ndarray, prevalence: np.ndarray, odds: float) -> np.ndarray:
    """Return the net benefit per person, in true positives, at threshold odds p / (1 - p)."""
    return sensitivity * prevalence - (1 - specificity) * (1 - prevalence) * odds


def shifted(probability: np.ndarray, prevalence: float, other: float) -> np.ndarray:
    """Return (n,) probabilities as they would be at another prevalence, all else alike.

    Source: Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
    Neural Computation 14, 2002, equation 4, for two classes.

    Args:
        probability: (n,) of the positive class.
        prevalence: Where they are calibrated.
        other: Where they are to be used.
    """
    positive = probability * other / prevalence
    negative = (1 - probability) * (1 - other) / (1 - prevalence)
    return positive / (positive + negative)


def decision_curve_table(
    side: LabelledLogits,
    temperature: float,
    prevalence: float,
    clinic_prevalence: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the net benefit of referral for malignancy at each of `THRESHOLDS`.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        prevalence: Share of malignant pictures where the temperature was fitted, 0..1.
        clinic_prevalence: Share of malignant lesions among those that a clinic photographs, 0..1.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `setting` (`data` as in these pictures, `clinic` at `clinic_prevalence` with the probabilities shifted
        to it), `prevalence`, `threshold`, `strategy`, `value`, `low`, `high`. Strategies: `model`; `everyone`, who
        refers all; `gain`, of the model over the better of referring everyone and no one.
    """
    probability, malignant = scored(side, temperature, "referral")
    settings = {"data": probability, "clinic": shifted(probability, prevalence, clinic_prevalence)}
    everyone = np.ones_like(malignant)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        of_these = metrics.share(malignant, everyone, weights)
        for setting, scores in settings.items():
            at = of_these if setting == "data" else np.full_like(of_these, clinic_prevalence)
            for threshold in THRESHOLDS:
                called, odds = scores >= threshold, threshold / (1 - threshold)
                sensitivity = metrics.share(called, malignant, weights)
                specificity = metrics.share(~called, ~malignant, weights)
                model = net_benefit(sensitivity, specificity, at, odds)
                all_referred = at - (1 - at) * odds
                best_default = np.maximum(all_referred, 0)
                for name, value in zip(STRATEGIES, (model, all_referred, model - best_default), strict=True):
                    found[f"{setting}/{threshold}/{name}"] = value
        return found

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["setting", "threshold", "strategy"]] = table["metric"].str.split("/", expand=True)
    table["threshold"] = pd.to_numeric(table["threshold"])
    table["prevalence"] = table["setting"].map({"data": float(malignant.mean()), "clinic": clinic_prevalence})
    return table[["setting", "prevalence", "threshold", "strategy", "value", "low", "high"]]


def useful_range(table: pd.DataFrame, setting: str) -> tuple[float, float] | None:
    """Return the lowest and the highest threshold at which the interval of the gain lies above 0; None if at none."""
    gains = table[(table["setting"] == setting) & (table["strategy"] == "gain") & (table["low"] > 0)]
    return None if gains.empty else (float(gains["threshold"].min()), float(gains["threshold"].max()))
