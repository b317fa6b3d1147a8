"""A classifier's weights in one small file, by the names of its layers, and starting another training from them.

Large kernels are in half precision, which moves a logit of HAM10000's test by 0.014 at most. The rest stays in
single precision: it weighs little, the first layers decide how exact all others can be, and a variance may be too
small for half.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.errors import InputError
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TRAIN
from derma_assets.training.backbones import BACKBONES

ENDING = ".npz"
# Beside the weights: image_id, lesion_id, dx and split of every picture, `train` being those they were learnt from.
SPLITS = "splits.parquet"
# Of MobileNet with alpha 1.0 that leaves out the first three pointwise kernels. Depthwise ones are never large.
_LARGE = 20_000


def write_weights(model: Any, path: Path) -> None:
    """Write the weights of all layers of a Keras model.

    Raises:
        InputError: a weight is too large for half precision, or no finite number.
    """
    arrays = {}
    for name, value in _named(model):
        array = np.asarray(value)
        with np.errstate(over="ignore"):
            arrays[name] = array.astype(np.float16 if _is_large(array) else np.float32)
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"the weight {name} does not fit half precision: train the model again.")
    np.savez_compressed(path, **arrays)


def load_weights(model: Any, path: Path) -> None:
    """Fill the weights of `model`, all or some of the layers that were written, in place.

    Raises:
        InputError: the file is none, is of a network of another width, or lacks a layer.
    """
    try:
        with np.load(path) as stored:
            values = {name: stored[name].astype(np.float32) for name in stored.files}
    except Exception as error:  # Of a damaged archive: zlib.error, BadZipFile, ValueError, OSError.
        raise InputError(f"the weights {path} cannot be read: {error}.") from error
    named = _named(model)
    missing = sorted(name for name, _ in named if name not in values)
    if missing:
        raise InputError(
            f"the weights {path} lack {missing[0]} and {len(missing) - 1} more: they are another model's. Set "
            "DERMA_BACKBONE to the network that they are of, or DERMA_BACKBONE_WEIGHTS to others."
        )
    for name, variable in named:
        if values[name].shape != tuple(variable.shape):
            raise InputError(
                f"the weights {path} are of a network with alpha {_alpha(values)}, where {name} has the shape "
                f"{values[name].shape} and not {tuple(variable.shape)}: set DERMA_ALPHA={_alpha(values)}, or "
                "DERMA_BACKBONE_WEIGHTS to others."
            )
    for name, variable in named:
        variable.assign(values[name])


def refuse_learnt_from(path: Path, splits: pd.DataFrame) -> None:
    """Make sure that nothing held out now was learnt from by the weights at `path`.

    Otherwise validation and test would praise what the weights remember.

    Args:
        path: As `write_weights` wrote it, with the table `SPLITS` beside.
        splits: Columns image_id, lesion_id, split of the training that is to start from them.

    Raises:
        InputError: there is no such table, or a lesion or picture held out now is in training there.
    """
    beside = path.with_name(SPLITS)
    if not beside.is_file():
        raise InputError(
            f"{beside} is missing, which says what the weights {path.name} were learnt from: without it nobody knows "
            "whether validation and test are new to them."
        )
    learnt = pd.read_parquet(beside)
    learnt = learnt[learnt["split"] == TRAIN]
    held_out = splits[splits["split"] != TRAIN]
    seen = held_out[held_out["lesion_id"].isin(learnt["lesion_id"]) | held_out["image_id"].isin(learnt["image_id"])]
    if len(seen):
        raise InputError(
            f"{len(seen)} of {len(held_out)} validation and test pictures, such as {seen['image_id'].iloc[0]}, were "
            f"learnt from by the weights {path}: every figure on them would flatter. Use the split that they were "
            "trained with (the same DERMA_SEED and fractions, no folds), or start from imagenet."
        )


def _named(model: Any) -> list[tuple[str, Any]]:
    return [(f"{layer.name}/{variable.name}", variable) for layer in model.layers for variable in layer.weights]


def _is_large(array: np.ndarray) -> bool:
    return array.size > _LARGE and array.shape[:2] == (1, 1)


def _alpha(values: dict[str, np.ndarray]) -> float | str:
    kinds = [kind for kind in BACKBONES.values() if f"{kind.first}/kernel" in values]
    return values[f"{kinds[0].first}/kernel"].shape[-1] / kinds[0].first_channels if kinds else "unknown"


def initial_weights_files() -> list[Path]:
    """Return the file that a training starts from by the settings, if it is one: its content decides, not its name."""
    path = Path(settings().initial_weights).expanduser()
    return [path] if path.is_file() else []
