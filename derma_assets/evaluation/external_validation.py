"""The tables of the report on somebody else's data, also where it tells fewer classes apart than the model.

With all seven diagnoses they are those of our own test. With fewer, the probabilities of the diagnoses that a class
joins are added up; the diagnoses of no class are together one more, which is always wrong.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.operating_points import score_of
from derma_assets.calibration.reliability import expected_calibration_error
from derma_assets.calibration.summary import POSITIVE
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.evaluation import metrics, tables
from derma_assets.evaluation.bootstrap import with_intervals
from derma_assets.evaluation.external_dataset import ExternalDataset
from derma_assets.evaluation.external_labels import Codes, title
from derma_assets.evaluation.refusals import wilson_interval
from derma_assets.splits.grouped_splits import TEST, TRAIN
from derma_assets.splits.leakage import near_duplicates_across_sides

_REASONS = 8  # that are named
COLUMNS = ["section", "class", "metric", "value", "low", "high", "images", "lesions"]


def seen_in_training(manifest: pd.DataFrame, raw_images: pd.DataFrame, splits: pd.DataFrame) -> list[str]:
    """Return the external pictures that look like one which the model was trained or calibrated on.

    Equal files, or perceptual hashes that differ in at most four bits: collections of pictures overlap, and a picture
    that was learnt from tests nothing.

    Args:
        manifest: Of the external pictures, as `dataset.manifest.build_manifest` returns it.
        raw_images: The same of the model's own data set.
        splits: `image_id`, `lesion_id`, `dx`, `split` of the model's own data set.
    """
    own = splits[splits["split"] != TEST].assign(split=TRAIN)
    own = own[own["image_id"].isin(raw_images["image_id"])]
    theirs = pd.DataFrame({"image_id": manifest["image_id"], "split": TEST, "dx": CODES[0]})
    pictures = pd.concat([own[["image_id", "lesion_id", "dx", "split"]], theirs.assign(lesion_id=theirs["image_id"])])
    # The same identifiers may be used on both sides.
    sides = [raw_images[raw_images["image_id"].isin(own["image_id"])], manifest]
    hashes = pd.concat([side[["image_id", "status", "sha256", "phash"]] for side in sides])
    for table, ours in ((pictures, len(own)), (hashes, len(sides[0]))):
        prefix = np.where(np.arange(len(table)) < ours, "own/", "their/")
        table["image_id"] = prefix + table["image_id"].to_numpy()
    pictures["lesion_id"] = pictures["image_id"]
    found = near_duplicates_across_sides(pictures, hashes)
    return sorted(set(found["image_id_b"].str.removeprefix("their/")))


def same_files(manifest: pd.DataFrame, codes: Mapping[str, Codes]) -> pd.DataFrame:
    """Return the pictures whose file is there more than once: all but the first, or all if their classes differ.

    Args:
        manifest: Of the external pictures, as `dataset.manifest.build_manifest` returns it.
        codes: The diagnoses that each picture's class stands for, by `image_id`.

    Returns:
        Columns `picture`, `reason`.
    """
    readable = manifest[manifest["status"] == "ok"]
    several = readable[readable["sha256"].duplicated(keep=False)]
    rows = []
    for _, alike in several.groupby("sha256", sort=False)["image_id"]:
        agree = len({codes[picture] for picture in alike}) == 1
        reason = "is the same file as another; counted once" if agree else "is the same file as one of another class"
        rows += [(picture, reason) for picture in alike.iloc[1 if agree else 0 :]]
    return pd.DataFrame(rows, columns=["picture", "reason"])


def external_table(
    logits: np.ndarray,
    truth: pd.DataFrame,
    dataset: ExternalDataset,
    temperature: float,
    points: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return overall metrics, metrics of each class, and how often each class was taken for which.

    Args:
        logits: (n, 7) of the pictures of `truth`.
        truth: `lesion_id` and `label` of n pictures.
        dataset: Says what the labels stand for.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        `COLUMNS`. Section `overall`; `per_class`; `confusion`, whose metric is the predicted class and whose value the
        number of pictures. What cannot be said on these classes is not there.
    """
    lesions = pd.factorize(truth["lesion_id"], sort=True)[0].astype(np.int64)
    codes = [dataset.classes[label] for label in truth["label"]]
    if all(len(group) == 1 for group in dataset.groups):
        side = LabelledLogits(logits, np.array([CODES.index(one[0]) for one in codes]), lesions)
        return _of_seven(side, temperature, points, resamples, seed)
    labels = np.array([dataset.groups.index(one) for one in codes])
    return _of_groups(logits, labels, lesions, dataset.groups, temperature, points, resamples, seed)


def _of_seven(
    side: LabelledLogits, temperature: float, points: Mapping[str, Any], resamples: int, seed: int
) -> pd.DataFrame:
    overall = tables.overall_table(side, temperature, points, resamples, seed).dropna(subset="value")
    per_class = tables.per_class_table(side, temperature, resamples, seed).rename(columns={"dx": "class"})
    confusion = tables.confusion_table(side).rename_axis(index="class").reset_index()
    confusion = confusion.melt("class", var_name="metric").query("value > 0")
    parts = {
        "overall": overall.assign(**{"class": ""}, images=len(side.labels), lesions=int(side.lesions.max()) + 1),
        "per_class": per_class[per_class["images"] > 0],
        "confusion": confusion.assign(low=np.nan, high=np.nan),
    }
    return _joined(parts)


def _of_groups(
    logits: np.ndarray,
    labels: np.ndarray,
    lesions: np.ndarray,
    groups: list[Codes],
    temperature: float,
    points: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    probabilities = softmax(logits, temperature)
    rest = tuple(code for code in CODES if not any(code in group for group in groups))
    of_group = np.stack([score_of(probabilities, group) for group in (*groups, rest)], axis=1)
    predicted = of_group.argmax(axis=1)
    everything = np.ones(len(labels), dtype=bool)
    present = sorted(set(labels.tolist()))
    scores = {name: score_of(probabilities, POSITIVE[name]) for name in points}
    positive = {name: _positive(groups, labels, POSITIVE[name]) for name in points}

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        recalls = np.stack([metrics.share(predicted == one, labels == one, weights) for one in present], axis=-1)
        found = {
            "overall//accuracy": metrics.share(predicted == labels, everything, weights),
            "overall//balanced_accuracy": metrics.macro(recalls),
            "overall//ece_after": expected_calibration_error(of_group, labels, weights),
        }
        for name, truth in positive.items():
            if truth is None:
                continue
            called = scores[name] >= points[name]["threshold"]
            found |= {
                f"overall//{name}_roc_auc": metrics.roc_auc(scores[name], truth, weights),
                f"overall//{name}_sensitivity": metrics.share(called, truth, weights),
                f"overall//{name}_specificity": metrics.share(~called, ~truth, weights),
            }
        for place, one in enumerate(present):
            name, there = title(groups[one]), labels == one
            found |= {
                f"per_class/{name}/recall": recalls[..., place],
                f"per_class/{name}/precision": metrics.share(there, predicted == one, weights),
                f"per_class/{name}/roc_auc": metrics.roc_auc(of_group[:, one], there, weights),
            }
        return found

    table = with_intervals(statistics, lesions, resamples, seed).dropna(subset="value")
    table[["section", "class", "metric"]] = table["metric"].str.split("/", expand=True)
    titles = [*(title(group) for group in groups), "none_of_these"]
    for name, members in {"": everything, **{titles[one]: labels == one for one in present}}.items():
        table.loc[table["class"] == name, "images"] = int(members.sum())
        table.loc[table["class"] == name, "lesions"] = len(np.unique(lesions[members]))
    pairs = pd.DataFrame({"class": [titles[one] for one in labels], "metric": [titles[one] for one in predicted]})
    confusion = pairs.value_counts(sort=False).rename("value").reset_index().assign(low=np.nan, high=np.nan)
    return _joined({"": table, "confusion": confusion})


def _positive(groups: list[Codes], labels: np.ndarray, codes: tuple[str, ...]) -> np.ndarray | None:
    """Return which pictures show one of the diagnoses, (n,) bool; None if a class holds some of them and others."""
    if any(set(group) & set(codes) and set(group) - set(codes) for group in groups):
        return None
    return np.array([bool(set(group) & set(codes)) for group in groups])[labels]


def _joined(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    named = [part.assign(section=section) if section else part for section, part in parts.items()]
    table = pd.concat([part.reindex(columns=COLUMNS) for part in named], ignore_index=True)
    return table.astype({"value": float, "images": "Int64", "lesions": "Int64"})


def refused_row(reasons: np.ndarray, lesions: int) -> pd.DataFrame:
    """Return how many pictures the input guard refuses, in one row of `COLUMNS` with its 95 % score interval.

    Args:
        reasons: (n,) of text, "" for a picture that was accepted.
        lesions: How many lesions the pictures show.
    """
    share = float(np.mean(reasons != ""))
    low, high = wilson_interval(share, lesions)
    row = dict(zip(COLUMNS, ("refused", "", "share", share, low, high, len(reasons), lesions), strict=True))
    return pd.DataFrame([row]).astype({"images": "Int64", "lesions": "Int64"})


def left_out_rows(left_out: pd.DataFrame) -> pd.DataFrame:
    """Return how many pictures were not judged for each reason, in rows of `COLUMNS`: the reason is the metric.

    Args:
        left_out: `reason`, one row for each picture. Rare reasons are counted together.
    """
    counts = left_out["reason"].value_counts()
    named, others = counts.head(_REASONS), counts.iloc[_REASONS:]
    rows = [("left_out", "", reason, float(count)) for reason, count in named.items()]
    if len(others):
        rows.append(("left_out", "", "other reasons", float(others.sum())))
    table = pd.DataFrame(rows, columns=COLUMNS[:4]).reindex(columns=COLUMNS)
    return table.astype({"value": float, "low": float, "high": float, "images": "Int64", "lesions": "Int64"})
