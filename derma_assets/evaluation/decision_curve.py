"""Decision curves: does referring by the model do more good than referring everyone, or no one?

The net benefit at a threshold probability pt is the share of true positives minus the share of false positives times
pt / (1 - pt): whoever refers from a risk of pt on holds that one missed malignant lesion weighs as much as
(1 - pt) / pt needless referrals (Vickers and Elkin, "Decision Curve Analysis", Medical Decision Making 26, 2006).
Standardised, it is divided by the prevalence, its highest possible value (Kerr et al., Journal of Clinical Oncology 34,
2016).
"""

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.summary import scored
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

THRESHOLDS = tuple(round(0.005 * step, 3) for step in range(1, 101))
# Whose benefit: the test pictures as they are, and the same weighted to a clinic's prevalence, with the model's
# probabilities as they are or corrected for that prevalence.
DATA_SET, CLINIC, CLINIC_CORRECTED = POPULATIONS = ("data_set", "clinic", "clinic_corrected")
MODEL, REFER_ALL, GAIN = STRATEGIES = ("model", "refer_all", "gain")
NET_BENEFIT, STANDARDISED, AVOIDED = "net_benefit", "standardised_net_benefit", "avoided_per_100"


def net_benefit(
    sensitivity: np.ndarray, false_positive_rate: np.ndarray, prevalence: np.ndarray | float, threshold: np.ndarray
) -> np.ndarray:
    """Return the net benefit, in true positives per person, of calling by a rule; shapes broadcast.

    Args:
        sensitivity: Share of the ill that the rule calls.
        false_positive_rate: Share of the healthy that it calls.
        prevalence: Share of the ill.
        threshold: Threshold probability, above 0 and below 1.
    """
    odds = threshold / (1 - threshold)
    return sensitivity * prevalence - false_positive_rate * (1 - prevalence) * odds


def corrected_for_prevalence(probability: np.ndarray, assumed: float, actual: float) -> np.ndarray:
    """Return probabilities moved from one prevalence to another (Saerens et al., Neural Computation 14, 2002, eq. 4).

    Right only if ill and healthy look the same in both populations, and only how many of each there are differs.

    Args:
        probability: (n,) of being ill, calibrated where the prevalence is `assumed`.
        assumed: 0..1, exclusive.
        actual: 0..1, exclusive.
    """
    ill, healthy = probability * actual / assumed, (1 - probability) * (1 - actual) / (1 - assumed)
    return ill / (ill + healthy)


def decision_table(
    validation: LabelledLogits,
    test: LabelledLogits,
    temperature: float,
    clinic_prevalence: float,
    operating_threshold: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the net benefit of referral by the probability of malignancy, against referring all and none, on test.

    Referring none has a net benefit of 0 everywhere.

    Args:
        validation: Its prevalence is the one that the probabilities are taken to be calibrated at.
        test: Where the benefit is measured.
        temperature: The calibrated one.
        clinic_prevalence: Share of malignant lesions in the clinic looked at besides.
        operating_threshold: Of the referral, added to `THRESHOLDS`, as it is and corrected for the prevalence.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `population` (of `POPULATIONS`), `strategy` (of `STRATEGIES`; `gain` is the model's benefit over the
        better of referring all and none), `threshold`, `metric`, `value`, `low`, `high`, `operating_point` (whether the
        threshold is the referral's own). `avoided_per_100` (strategy `model`): needless referrals fewer, per 100
        persons, than when all are referred, at the same worth of true positives.
    """
    score, malignant = scored(test, temperature, "referral")
    assumed = float(scored(validation, temperature, "referral")[1].mean())
    # Moved to the clinic's prevalence, the referral's rule is to refer from a far smaller risk on.
    moved = float(corrected_for_prevalence(np.array(operating_threshold), assumed, clinic_prevalence))
    operating = {DATA_SET: operating_threshold, CLINIC: operating_threshold, CLINIC_CORRECTED: moved}
    cuts = np.unique([*THRESHOLDS, *operating.values()])
    scores = {
        DATA_SET: score,
        CLINIC: score,
        CLINIC_CORRECTED: corrected_for_prevalence(score, assumed, clinic_prevalence),
    }
    everything = np.ones(len(score), dtype=bool)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        ill, healthy = weights * malignant, weights * ~malignant
        of_data = metrics.share(malignant, everything, weights)[:, None]
        with np.errstate(invalid="ignore"):  # A resample without ill or healthy pictures has no rates: NaN.
            for population, of_population in scores.items():
                called = (of_population[:, None] >= cuts).astype(np.float64)
                sensitivity = ill @ called / ill.sum(axis=1, keepdims=True)
                false_alarms = healthy @ called / healthy.sum(axis=1, keepdims=True)
                prevalence = of_data if population == DATA_SET else np.full_like(of_data, clinic_prevalence)
                by_model = net_benefit(sensitivity, false_alarms, prevalence, cuts)
                for_all = net_benefit(np.ones(1), np.ones(1), prevalence, cuts)
                benefits = {MODEL: by_model, REFER_ALL: for_all, GAIN: by_model - np.maximum(for_all, 0)}
                for strategy, benefit in benefits.items():
                    for index in range(len(cuts)):
                        at = f"{population}/{strategy}/{index}"
                        found[f"{at}/{NET_BENEFIT}"] = benefit[:, index]
                        found[f"{at}/{STANDARDISED}"] = benefit[:, index] / prevalence[:, 0]
                avoided = 100 * (by_model - for_all) * (1 - cuts) / cuts
                for index in range(len(cuts)):
                    found[f"{population}/{MODEL}/{index}/{AVOIDED}"] = avoided[:, index]
        return found

    table = with_intervals(statistics, test.lesions, resamples, seed)
    table[["population", "strategy", "index", "metric"]] = table["metric"].str.split("/", expand=True)
    table["threshold"] = cuts[table["index"].astype(int)]
    table["operating_point"] = table["threshold"] == table["population"].map(operating)
    return table[["population", "strategy", "threshold", "metric", "value", "low", "high", "operating_point"]]


def useful_range(table: pd.DataFrame, population: str = DATA_SET) -> tuple[float, float] | None:
    """Return the ends of the widest range of thresholds at all of which the whole interval of the gain is above 0.

    Args:
        table: As `decision_table` returns it.
        population: Of `POPULATIONS`.

    Returns:
        None where there is no such threshold.
    """
    gain = table[(table["population"] == population) & (table["strategy"] == GAIN) & (table["metric"] == NET_BENEFIT)]
    gain = gain.sort_values("threshold")
    thresholds, better = gain["threshold"].to_numpy(), (gain["low"] > 0).to_numpy()
    runs = np.split(np.arange(len(better)), np.flatnonzero(np.diff(better)) + 1)
    ranges = [(float(thresholds[run[0]]), float(thresholds[run[-1]])) for run in runs if len(run) and better[run[0]]]
    return max(ranges, key=lambda ends: ends[1] - ends[0], default=None)
