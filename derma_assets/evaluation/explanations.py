"""How much of what the model looked at lies on the lesion, against looking at the picture's centre.

For each picture and map: the share of its heat inside the lesion's mask (energy-based pointing game; Wang et al.,
"Score-CAM", CVPR workshops 2020), and whether its peak hits the lesion (pointing game; Zhang et al., "Top-down Neural
Attention by Excitation Backprop", IJCV 126, 2018, section 4.1). As there, a peak counts as a hit up to 15 px outside;
on pictures of 500 px that is 3 % of the side, and so it is here.

Lesions lie in the centre of HAM10000's pictures, so a map that knows nothing but that gets most of both. It is the
baseline: `centre`, a Gaussian in the middle of the picture with a standard deviation of a quarter of the side (its
peak: the centre). A model has to beat it to have shown that it finds lesions. `coarse_centre` is the same Gaussian seen
through the few cells of the model's maps, which cannot point to the centre where their number is even: its hits are
those of the cells around it. `uniform` looks everywhere alike: the share it gets is the mask's share of the picture.
`coarse_mask` is no baseline: it is the mask itself seen through the cells, what a map gets that follows the lesion as
well as its cells let it. (A map with all its heat in one cell can get more.)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.ndimage

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.temperature import softmax
from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.activation_maps import MAPS, activation_maps, enlarged, peaks
from derma_assets.evaluation.bootstrap import with_intervals
from derma_assets.splits.grouped_splits import TEST

# Of the side: how far outside the lesion a peak still hits it.
TOLERANCE = 15 / 500
# Of the side: standard deviation of the Gaussian that stands for looking at the centre.
CENTRE_WIDTH = 0.25
PREDICTED, TRUE = "predicted", "true"
# What stands in the column `map` of the figures that no map of the model is needed for.
BASELINE = "baseline"
ALL, RIGHT, WRONG = "all", "right", "wrong"
GROUPS = (ALL, RIGHT, WRONG, *CODES)
BASELINES = {
    "uniform": ("mask_share", "uniform_hit"),
    "centre": ("centre_heat_inside", "centre_hit"),
    "coarse_centre": ("coarse_centre_heat_inside", "coarse_centre_hit"),
}
FOLLOWING = "coarse_mask_heat_inside"
FIGURES = ("heat_inside", "hit", *(f"{metric}_over_{name}" for name in BASELINES for metric in ("heat", "hit")))
_BATCH = 256


@dataclass(frozen=True)
class Explained:
    """What is known of n pictures.

    Attributes:
        labels: (n,) index of the true class.
        predicted: (n,) index of the predicted class.
        lesions: (n,) number of the lesion each picture shows, 0..m-1, none left out.
        masks: (n, S, S) bool lesion.
        maps: (n, h, w, 7) not negative, by kind.
    """

    labels: np.ndarray
    predicted: np.ndarray
    lesions: np.ndarray
    masks: Rows
    maps: dict[str, np.ndarray]


def explain(
    model: Any, pixels: Rows, masks: Rows, predictions: pd.DataFrame, temperature: float
) -> tuple[Explained, np.ndarray]:
    """Compute the maps of test pictures; return them with the (n, 7) calibrated probabilities.

    Args:
        model: The trained classifier.
        pixels: (n, S, S, 3) uint8.
        masks: (n, S, S) bool.
        predictions: The rows of the table `predictions` for these pictures, all of test.
        temperature: The calibrated one.
    """
    side = labelled_logits(predictions, TEST)
    maps = activation_maps(model, pixels)
    return (
        Explained(side.labels, side.logits.argmax(axis=1), side.lesions, masks, maps),
        softmax(side.logits, temperature),
    )


def picture_figures(explained: Explained) -> pd.DataFrame:
    """Return what each picture's maps and the baselines get.

    Returns:
        One row a picture: the two figures of each of `BASELINES` (`mask_share` of the picture, `uniform_hit`, the share
        of pixels that would be hits, ...), `FOLLOWING`, and for each map and class `<map>/<predicted or
        true>/heat_inside` and `.../hit`. NaN where the mask is empty, or a map is nowhere above 0.
    """
    return pd.concat(
        [_of_batch(explained, slice(start, start + _BATCH)) for start in range(0, len(explained.labels), _BATCH)],
        ignore_index=True,
    )


def _of_batch(explained: Explained, batch: slice) -> pd.DataFrame:
    masks, labels, predicted = explained.masks[batch], explained.labels[batch], explained.predicted[batch]
    size, every = masks.shape[1], np.arange(len(masks))
    known = masks.any(axis=(1, 2))
    # An empty mask has no distance to anything.
    near = np.stack(
        [scipy.ndimage.distance_transform_edt(~mask) <= TOLERANCE * size if mask.any() else mask for mask in masks]
    )
    grid = next(iter(explained.maps.values())).shape[1:3]
    centre = centre_prior(size)[np.newaxis]
    coarse_centre = _cells(centre, grid)
    columns = {
        "mask_share": masks.mean(axis=(1, 2)),
        "uniform_hit": near.mean(axis=(1, 2)),
        "centre_heat_inside": heat_inside(np.broadcast_to(centre, masks.shape), masks),
        "centre_hit": near[:, size // 2, size // 2].astype(np.float64),
        "coarse_centre_heat_inside": heat_inside(np.broadcast_to(enlarged(coarse_centre, size), masks.shape), masks),
        "coarse_centre_hit": _mean_of_largest(near, coarse_centre[0]),
        FOLLOWING: heat_inside(enlarged(_cells(masks, grid), size), masks),
    }
    for kind in MAPS:
        for of, classes in ((PREDICTED, predicted), (TRUE, labels)):
            maps = explained.maps[kind][batch][every, :, :, classes]
            rows, across = peaks(maps, size).T
            hit = np.where(maps.any(axis=(1, 2)), near[every, rows, across], np.nan)
            columns |= {f"{kind}/{of}/heat_inside": heat_inside(enlarged(maps, size), masks), f"{kind}/{of}/hit": hit}
    found = pd.DataFrame(columns)
    found.loc[~known] = np.nan
    return found


def heat_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of each map's heat inside its mask, (n,); NaN of a map without heat.

    Args:
        maps: (n, S, S), not negative.
        masks: (n, S, S) bool.
    """
    inside, total = (maps * masks).sum(axis=(1, 2), dtype=np.float64), maps.sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0)


def centre_prior(size: int) -> np.ndarray:
    """Return the (size, size) Gaussian that stands for looking at the picture's centre."""
    away = (np.arange(size) + 0.5) / size - 0.5
    return np.exp(-(away[:, None] ** 2 + away**2) / (2 * CENTRE_WIDTH**2)).astype(np.float32)


def explanation_table(explained: Explained, figures: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Return the mean of every figure over groups of pictures, with 95 % intervals over lesions.

    A difference to a baseline is taken on each picture before averaging, so its interval is of the paired difference.

    Args:
        explained: The pictures.
        figures: As `picture_figures` returns them.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `map` (of `MAPS`, or `baseline`), `of` (`predicted` or `true` class; empty for baselines), `group`
        (`all`, `right`, `wrong`, or the true diagnosis), `metric` (of `FIGURES`, or a baseline's), `value`, `low`,
        `high`, and `images` and `lesions` of the group. Groups without a picture are left out.
    """
    values = _with_differences(figures)
    right = explained.predicted == explained.labels
    members = {ALL: np.ones(len(right), dtype=bool), RIGHT: right, WRONG: ~right}
    members |= {code: explained.labels == index for index, code in enumerate(CODES)}
    members = {group: inside for group, inside in members.items() if inside.any()}

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for group, inside in members.items():
            of_group = values[inside]
            known = of_group.notna().to_numpy()
            counted = weights[:, inside]
            sums, counts = counted @ of_group.fillna(0).to_numpy(), counted @ known
            means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
            found |= {f"{column}/{group}": means[:, at] for at, column in enumerate(values)}
        return found

    table = with_intervals(statistics, explained.lesions, resamples, seed)
    table[["map", "of", "metric", "group"]] = table["metric"].str.split("/", expand=True)
    table["images"] = [int(members[group].sum()) for group in table["group"]]
    table["lesions"] = [len(np.unique(explained.lesions[members[group]])) for group in table["group"]]
    return table[["map", "of", "group", "metric", "value", "low", "high", "images", "lesions"]]


def _with_differences(figures: pd.DataFrame) -> pd.DataFrame:
    """Return the figures, named `<map>/<of>/<metric>` all of them, and their differences to the baselines."""
    named = figures.rename(columns={name: f"{BASELINE}//{name}" for name in figures.columns if "/" not in str(name)})
    for kind in MAPS:
        for of in (PREDICTED, TRUE):
            heat, hit = named[f"{kind}/{of}/heat_inside"], named[f"{kind}/{of}/hit"]
            for name, (its_heat, its_hit) in BASELINES.items():
                named[f"{kind}/{of}/heat_over_{name}"] = heat - figures[its_heat]
                named[f"{kind}/{of}/hit_over_{name}"] = hit - figures[its_hit]
    return named


def gallery_rows(
    labels: np.ndarray, probabilities: np.ndarray, lesions: np.ndarray, right: bool, each: int
) -> dict[str, np.ndarray]:
    """Choose pictures for a gallery by rule: of each true diagnosis the most confident ones, each of another lesion.

    Args:
        labels: (n,) index of the true class.
        probabilities: (n, 7) calibrated.
        lesions: (n,) number of the lesion.
        right: Whether those rightly or those wrongly diagnosed.
        each: How many of each diagnosis at most.

    Returns:
        Rows by the code of the true diagnosis, the most confident first.
    """
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    order = np.argsort(-confidence, kind="stable")
    chosen = {}
    for index, code in enumerate(CODES):
        of_class = order[(labels[order] == index) & ((predicted[order] == index) == right)]
        _, first = np.unique(lesions[of_class], return_index=True)
        chosen[code] = of_class[np.sort(first)][:each]
    return chosen


def _mean_of_largest(near: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return (n,): which share of the largest of (h, w) cells, all alike, have their middle in (n, S, S) masks."""
    size, (height, width) = near.shape[1], cells.shape
    rows, columns = np.nonzero(np.isclose(cells, cells.max()))
    return near[:, ((rows + 0.5) * size / height).astype(int), ((columns + 0.5) * size / width).astype(int)].mean(
        axis=1
    )


def _cells(masks: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Return the (n, h, w) means of (n, S, S) pictures over the cells of a grid."""
    size, (height, width) = masks.shape[1], grid
    rows, columns = np.arange(height) * size // height, np.arange(width) * size // width
    sums = np.add.reduceat(np.add.reduceat(masks.astype(np.float32), rows, axis=1), columns, axis=2)
    return sums / np.outer(np.diff(rows, append=size), np.diff(columns, append=size))
