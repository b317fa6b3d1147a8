"""What could be wrong with each picture, and which to look at first.

| finding | what | weight |
| --- | --- | --- |
| `contradicted` | the same lesion under another identifier, with another diagnosis | 8 |
| `duplicate` | the same lesion under another identifier, so it can be on two sides of the split | 4 |
| `label_error` | the label is probably wrong, see `label_errors.py` | 2 x (1 - its probability) |
| `unfit` | too dark, too bright, out of focus or without a lesion, by the limits of `input_guard` | 1 |
| `same_file` | the same file twice within one lesion | 1 |
| `ink` | blue ink at the border | 0.5 x the share, full at 20 % |
| `hair` | dark hair | 0.5 x the share, full at 20 % |
| `scale` | tick marks | 0.25 |
| `dark_corners` | a round field of view | 0.25 x the share, full at 20 % |

Pictures are ranked by the sum. The weights are a judgement of ours: first what can make the results wrong, then what
can make one label wrong, last what merely lies over the skin and is common.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.calibration.input_guard import ACCEPTED, REASONS, InputGuard
from derma_assets.calibration.picture_quality import QUALITY_MEASURES
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.picture_artefacts import artefact_flags
from derma_assets.errors import InputError
from derma_assets.evaluation.duplicates import duplicate_pairs
from derma_assets.evaluation.label_errors import label_errors
from derma_assets.progress import progress

FINDINGS: dict[str, str] = {
    "contradicted": "One lesion under two identifiers, with two diagnoses",
    "duplicate": "One lesion under two identifiers",
    "label_error": "Label probably wrong",
    "unfit": "Light, focus or lesion beyond the limits",
    "same_file": "The same file twice in one lesion",
    "ink": "Ink",
    "hair": "Hair",
    "scale": "Scale",
    "dark_corners": "Dark corners",
}
_WEIGHTS = {
    "contradicted": 8.0,
    "duplicate": 4.0,
    "label_error": 2.0,
    "unfit": 1.0,
    "same_file": 1.0,
    "ink": 0.5,
    "hair": 0.5,
    "scale": 0.25,
    "dark_corners": 0.25,
}
_FULL_SHARE = 0.2
_SHARES = {"ink": "ink_share", "hair": "hair_share", "dark_corners": "dark_corner_share"}
_OF_PAIRS = ("contradicted", "duplicate", "same_file")
_UNFIT_WORDS = {
    "too_dark": "too dark",
    "too_bright": "overexposed",
    "blurred": "out of focus",
    "no_lesion": "the lesion hardly stands out",
}
# How a diagnosis was confirmed, in the words of HAM10000's paper.
_CONFIRMED_BY = {
    "histo": "histopathology",
    "follow_up": "follow-up",
    "consensus": "expert consensus",
    "confocal": "confocal microscopy",
}
_PICTURES, _PAIRS, _COVERAGE = "pictures.parquet", "pairs.parquet", "coverage.json"


@dataclass(frozen=True)
class DataQuality:
    """What was found.

    Attributes:
        pictures: One row per readable picture, those to look at first on top: `image_id`, `lesion_id`, `dx`,
            `dx_type`, `rank` (1 is first), `points`, `reason` (in words, "" if nothing was found), a bool column for
            each of `FINDINGS`, and the scores: `label_quality`, `predicted`, `predicted_probability` (NaN and ""
            without out-of-sample probabilities), those of `QUALITY_MEASURES` and of `picture_artefacts`.
        pairs: As `duplicates.duplicate_pairs` returns them.
        covered: Share of the pictures with out-of-sample probabilities.
    """

    pictures: pd.DataFrame
    pairs: pd.DataFrame
    covered: float

    def counts(self) -> dict[str, int]:
        """Return the number of pictures with each finding."""
        return {finding: int(self.pictures[finding].sum()) for finding in FINDINGS}

    def with_finding(self, finding: str) -> pd.DataFrame:
        """Return the pictures with one finding, the gravest first; those of a pair stand together."""
        found = self.pictures[self.pictures[finding]]
        if finding in _OF_PAIRS:
            return found.iloc[np.argsort(found["image_id"].map(_places(self.pairs)), kind="stable")]
        return found.iloc[np.argsort(-_severity(found, finding), kind="stable")]

    def write(self, folder: Path) -> None:
        """Write the tables into `folder`, made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.pictures.to_parquet(folder / _PICTURES)
        self.pairs.to_parquet(folder / _PAIRS)
        (folder / _COVERAGE).write_text(json.dumps({"covered": self.covered}) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "DataQuality":
        """Read what `write` wrote.

        Raises:
            OSError: a file is missing.
        """
        covered = json.loads((folder / _COVERAGE).read_text())["covered"]
        return cls(pd.read_parquet(folder / _PICTURES), pd.read_parquet(folder / _PAIRS), covered)


def assess(
    metadata: pd.DataFrame,
    manifest: pd.DataFrame,
    arrays: ImageArrays,
    artefacts: pd.DataFrame,
    guard: InputGuard,
    probabilities: pd.DataFrame,
) -> DataQuality:
    """Gather everything that is known about each picture, and rank the pictures.

    Args:
        metadata: The table `raw_metadata`.
        manifest: The table `raw_images`.
        arrays: The pictures as the model sees them.
        artefacts: The table `picture_artefacts`.
        guard: Whose limits tell which pictures are unfit.
        probabilities: As for `label_errors.label_errors`, of any part of the pictures.

    Raises:
        InputError: the tables are not of the same pictures.
    """
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "phash"]]
    pictures = metadata[["image_id", "lesion_id", "dx", "dx_type"]].merge(readable, on="image_id")
    measured = artefacts.drop(columns=["sha256", "measured_by"])
    table = pictures.drop(columns=["sha256", "phash"]).merge(measured, on="image_id")
    if len(table) != len(readable):
        raise InputError(
            f"raw_images has {len(readable)} readable pictures, of which raw_metadata and picture_artefacts both know "
            f"{len(table)}: materialize picture_artefacts again."
        )
    table = table.join(artefact_flags(table))
    values = _quality(arrays, table["image_id"].tolist())
    table = table.assign(**values)
    unfit = _unfit(guard, values)
    table["unfit"] = unfit != ACCEPTED
    labels = label_errors(pictures, probabilities)
    table = table.merge(labels, on="image_id", how="left")
    table["label_error"] = table["label_error"].eq(True)
    table["predicted"] = table["predicted"].fillna("")
    pairs = duplicate_pairs(pictures, arrays)
    twins = _twins(pairs)
    for finding in ("contradicted", "duplicate", "same_file"):
        table[finding] = table["image_id"].isin({image_id for image_id, kind in twins if kind == finding})
    table["points"] = _points(table)
    table["reason"] = [_reason(row, reason, twins) for (_, row), reason in zip(table.iterrows(), unfit, strict=True)]
    table["place"] = table["image_id"].map(_places(pairs))
    table = table.sort_values(["points", "place", "image_id"], ascending=[False, True, True])
    table = table.drop(columns="place").reset_index(drop=True)
    table["rank"] = np.arange(1, len(table) + 1)
    named = ["image_id", "lesion_id", "dx", "dx_type", "rank", "points", "reason", *FINDINGS]
    return DataQuality(
        pictures=table[[*named, *(column for column in table if column not in named)]],
        pairs=pairs,
        covered=len(labels) / len(table),
    )


def _quality(arrays: ImageArrays, image_ids: list[str]) -> dict[str, np.ndarray]:
    """Return the measures of light, focus and lesion of pictures, (n,) each."""
    rows = progress(arrays.rows(image_ids), "light and focus", total=len(image_ids))
    measured = [[measure(arrays.pixels[row]) for measure in QUALITY_MEASURES.values()] for row in rows]
    return dict(zip(QUALITY_MEASURES, np.array(measured, dtype=np.float64).T, strict=True))


def _unfit(guard: InputGuard, values: dict[str, np.ndarray]) -> np.ndarray:
    """Return the first reason why each picture is beyond the guard's limits of light, focus and lesion, or ""."""
    limits = {measure.name: measure for measure in guard.measures}
    reasons = np.full(len(next(iter(values.values()))), ACCEPTED, dtype=object)
    for reason in reversed(_UNFIT_WORDS):
        name, end = REASONS[reason]
        limit = getattr(limits[name], end)
        if limit is not None:
            reasons[values[name] < limit if end == "low" else values[name] > limit] = reason
    return reasons


def _twins(pairs: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return the words for each picture's finding in a pair, by `image_id` and finding; the surest pair's."""
    words: dict[tuple[str, str], str] = {}
    for pair in pairs.to_dict("records"):
        for one, other in ("ab", "ba"):
            image_id, twin, dx = pair[f"image_id_{one}"], pair[f"image_id_{other}"], pair[f"dx_{other}"]
            alike = "the same file as" if pair["same_file"] else "shows the same as"
            if pair["same_lesion"]:
                words.setdefault((image_id, "same_file"), f"the same file as {twin} of this lesion")
                continue
            other_lesion = f"{alike} {twin} of lesion {pair[f'lesion_id_{other}']}"
            words.setdefault((image_id, "duplicate"), other_lesion)
            if pair["dx_a"] != pair["dx_b"]:
                words.setdefault((image_id, "contradicted"), f"{other_lesion}, where it is labelled {dx}")
    return words


def _places(pairs: pd.DataFrame) -> dict[str, int]:
    """Return the place of the first pair of each picture that is in one."""
    places: dict[str, int] = {}
    for place, ends in enumerate(pairs[["image_id_a", "image_id_b"]].itertuples(index=False)):
        for image_id in ends:
            places.setdefault(image_id, place)
    return places


def _severity(table: pd.DataFrame, finding: str) -> pd.Series:
    """Return how grave a finding is in each picture that has it, up to 1."""
    if finding == "label_error":
        return 1 - table["label_quality"]
    if finding in _SHARES:
        return (table[_SHARES[finding]] / _FULL_SHARE).clip(upper=1)
    return pd.Series(1.0, index=table.index)


def _points(table: pd.DataFrame) -> pd.Series:
    points = pd.Series(0.0, index=table.index)
    for finding, weight in _WEIGHTS.items():
        points = points + (weight * _severity(table, finding)).where(table[finding], 0.0)
    return points


def _reason(row: pd.Series, unfit: str, twins: dict[tuple[str, str], str]) -> str:
    """Return all findings of one picture in words, the gravest first."""
    image_id = str(row["image_id"])
    words = {
        "contradicted": twins.get((image_id, "contradicted"), ""),
        "duplicate": "" if row["contradicted"] else twins.get((image_id, "duplicate"), ""),
        "same_file": twins.get((image_id, "same_file"), ""),
        "unfit": _UNFIT_WORDS.get(unfit, ""),
        "ink": "ink at the border",
        "hair": f"hair over {_percent(row['hair_share'])}",
        "scale": f"a scale of {row['tick_marks']} marks",
        "dark_corners": f"dark corners over {_percent(row['dark_corner_share'])}",
    }
    if row["label_error"]:
        words["label_error"] = (
            f"labelled {row['dx']} by {_CONFIRMED_BY.get(row['dx_type'], row['dx_type'])}, to which the model gives "
            f"{_percent(row['label_quality'])}, and {row['predicted']} {_percent(row['predicted_probability'])}"
        )
    return ", ".join(words[finding] for finding in FINDINGS if row[finding] and words[finding])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
