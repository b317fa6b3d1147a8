"""What a process is told that trains together with others, and what it says in the end, as files of one folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from derma_assets.training.hardware import Precision
from derma_assets.training.recipe import Recipe
from derma_assets.training.train import BackboneChoice

# There once all processes have found each other.
JOINED = "joined"

_JOB, _SPLITS, _OUTCOME = "job.json", "splits.parquet", "outcome.json"


@dataclass(frozen=True)
class TrainingJob:
    """A training that several processes take part in.

    Attributes:
        arrays: Folder of the decoded pictures.
        splits: Columns image_id, lesion_id, dx, split.
        recipe: How to train.
        backbone: Which network.
        seed: Seed of everything random.
        precision: How the layers are computed.
        state_path: File that keeps the state between epochs; None for all processes but the chief's.
    """

    arrays: Path
    splits: pd.DataFrame
    recipe: Recipe
    backbone: BackboneChoice
    seed: int
    precision: Precision
    state_path: Path | None = None

    def write(self, folder: Path) -> None:
        """Write the job to `folder`."""
        document = {
            "arrays": str(self.arrays.absolute()),
            "recipe": self.recipe.model_dump(),
            "backbone": self.backbone.model_dump(),
            "seed": self.seed,
            "precision": self.precision,
            "state_path": str(self.state_path.absolute()) if self.state_path else None,
        }
        (folder / _JOB).write_text(json.dumps(document))
        self.splits.to_parquet(folder / _SPLITS)

    @classmethod
    def read(cls, folder: Path) -> "TrainingJob":
        """Return the job that `folder` holds."""
        document = json.loads((folder / _JOB).read_text())
        return cls(
            Path(document["arrays"]),
            pd.read_parquet(folder / _SPLITS),
            Recipe(**document["recipe"]),
            BackboneChoice(**document["backbone"]),
            document["seed"],
            document["precision"],
            Path(document["state_path"]) if document["state_path"] else None,
        )


@dataclass(frozen=True)
class Outcome:
    """How a process's part in a training ended.

    Attributes:
        kind: `done`; `refused`, with a message for a person; `lost`: others were no longer there; or `failed`, which
            left a traceback on the console.
        message: What TensorFlow or this project said about it.
    """

    kind: Literal["done", "refused", "lost", "failed"]
    message: str = ""


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Leave word of the outcome in `folder`."""
    (folder / _OUTCOME).write_text(json.dumps(asdict(outcome)))


def read_outcome(folder: Path) -> Outcome | None:
    """Return the outcome, or None if the process ended without a word."""
    try:
        return Outcome(**json.loads((folder / _OUTCOME).read_text()))
    except (OSError, ValueError):
        return None
