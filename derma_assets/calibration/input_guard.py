"""What keeps the model from being asked about pictures it was not made for: four measures, and a limit on each.

| measure | refused | because |
| --- | --- | --- |
| `brightness` | below `low` | `too_dark` |
| `brightness` | above `high` | `too_bright` |
| `sharpness` | below `low` | `blurred` |
| `lesion_contrast` | below `low` | `no_lesion` |
| `unfamiliarity` | above `high` | `unfamiliar` |
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.familiarity import FamiliarityModel
from derma_assets.calibration.limits import UNFAMILIARITY, choose_limits
from derma_assets.calibration.picture_quality import QUALITY_MEASURES
from derma_assets.dataset.stored_rows import Rows

# Reasons by measure and end, in the order in which a person should hear them: light first, since a picture that
# is too dark is also without detail, without a lesion and unfamiliar.
REASONS: dict[str, tuple[str, str]] = {
    "too_dark": ("brightness", "low"),
    "too_bright": ("brightness", "high"),
    "blurred": ("sharpness", "low"),
    "no_lesion": ("lesion_contrast", "low"),
    "unfamiliar": (UNFAMILIARITY, "high"),
}
ACCEPTED = ""

_LIMITS, _FAMILIARITY = "limits.json", "familiarity.npz"


@dataclass(frozen=True)
class Measure:
    """A number measured on every picture, and the limits between which it is accepted, ends included.

    Attributes:
        name: `brightness`, `sharpness`, `lesion_contrast` or `unfamiliarity`.
        low: None where a small value is no reason to refuse.
        high: None where a large value is no reason to refuse.
    """

    name: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class InputGuard:
    """Everything that is needed to refuse a picture.

    Attributes:
        measures: One for each name.
        familiarity: What `unfamiliarity` is measured with.
    """

    measures: list[Measure]
    familiarity: FamiliarityModel

    def document(self) -> dict[str, Any]:
        """Return the limits as the page's manifest holds them: `measures`, a list of `name`, `low` and `high`."""
        return {"measures": [asdict(measure) for measure in self.measures]}

    def measured(self, pictures: Rows, features: np.ndarray) -> dict[str, np.ndarray]:
        """Return the four measures of pictures by name, (n,) float64 each.

        Args:
            pictures: (n, S, S, 3) uint8 RGB, as the model sees them.
            features: (n, f), what the model makes of them at the layer `familiarity.layer`.
        """
        return _measured(self.familiarity, pictures, features)

    def refusals(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the first reason to refuse each picture, "" where there is none: (n,) of text.

        A value that is not a number is a reason too.

        Args:
            values: (n,) numbers by name of measure, as `measured` returns them.
        """
        limits = {measure.name: measure for measure in self.measures}
        reasons = np.full(len(next(iter(values.values()))), ACCEPTED, dtype=object)
        for reason, (name, end) in reversed(REASONS.items()):
            limit = getattr(limits[name], end)
            if limit is not None:
                within = values[name] >= limit if end == "low" else values[name] <= limit
                reasons[~within] = reason
        return reasons


def guard_with_limits(
    familiarity: FamiliarityModel, pictures: Rows, features: np.ndarray
) -> tuple[InputGuard, dict[str, np.ndarray]]:
    """Return a guard with limits chosen on good pictures, and their measures; see `limits.choose_limits`.

    Args:
        familiarity: Fitted on other pictures.
        pictures: (n, S, S, 3) uint8, those of validation.
        features: (n, f), as for `InputGuard.measured`.
    """
    values = _measured(familiarity, pictures, features)
    measures = [Measure(name, low, high) for name, (low, high) in choose_limits(values).items()]
    return InputGuard(measures, familiarity), values


def reasons_table(reasons: np.ndarray) -> pd.DataFrame:
    """Return how many pictures were refused for each of `REASONS`: columns `reason` and `pictures`.

    Args:
        reasons: (n,) of text, as `InputGuard.refusals` returns them.
    """
    return pd.DataFrame(
        [(reason, int((reasons == reason).sum())) for reason in REASONS], columns=["reason", "pictures"]
    )


def write_guard(folder: Path, guard: InputGuard) -> None:
    """Write a guard into `folder`, made if it is not there; equal guards give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LIMITS).write_text(json.dumps(guard.document(), indent=2) + "\n")
    guard.familiarity.save(folder / _FAMILIARITY)


def read_guard(folder: Path) -> InputGuard:
    """Read what `write_guard` wrote.

    Raises:
        OSError: a file is missing.
    """
    document = json.loads((folder / _LIMITS).read_text())
    return InputGuard(
        measures=[Measure(**measure) for measure in document["measures"]],
        familiarity=FamiliarityModel.load(folder / _FAMILIARITY),
    )


def _measured(familiarity: FamiliarityModel, pictures: Rows, features: np.ndarray) -> dict[str, np.ndarray]:
    measured = [[measure(picture) for measure in QUALITY_MEASURES.values()] for picture in pictures]
    values = np.array(measured, dtype=np.float64).reshape(-1, len(QUALITY_MEASURES))
    return {**dict(zip(QUALITY_MEASURES, values.T, strict=True)), UNFAMILIARITY: familiarity.unfamiliarity(features)}
