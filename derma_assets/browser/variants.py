"""`variants.json` beside the converted models: what each variant loses, and what they were all made from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from derma_assets.browser.conversion import TOPOLOGY, VARIANTS

_FILE = "variants.json"


@dataclass(frozen=True)
class Variants:
    """What `tfjs_model` says about itself.

    Attributes:
        size: Side in pixels of the model's input.
        comparison: From `quantisation.compare_variants`.
        made_from: Data version of every asset the models were made from, by its name.
    """

    size: int
    comparison: pd.DataFrame
    made_from: dict[str, str]


def write_variants(folder: Path, comparison: pd.DataFrame, made_from: Mapping[str, str]) -> None:
    """Write `variants.json` into the folder of the converted models."""
    document = {
        "made_from": dict(made_from),
        "variants": json.loads(comparison.to_json(orient="records", double_precision=10)),
    }
    (folder / _FILE).write_text(json.dumps(document, indent=2) + "\n")


def read_variants(folder: Path) -> Variants:
    """Read `variants.json`, and the input's size from the first model."""
    document = json.loads((folder / _FILE).read_text())
    signature = json.loads((folder / VARIANTS[0] / TOPOLOGY).read_text())["signature"]
    (model_input,) = signature["inputs"].values()
    size = int(model_input["tensorShape"]["dim"][1]["size"])
    return Variants(size, pd.DataFrame(document["variants"]), document["made_from"])
