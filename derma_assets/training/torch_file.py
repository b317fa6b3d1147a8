"""Weights in the format in which PyTorch stored them before version 1.6, read without PyTorch.

Such a file is a row of pickles, of which the fourth is the table of tensors, followed by the numbers themselves. Only
what a table of tensors needs is unpickled: a file cannot make anything else happen.
"""

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np

from derma_assets.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_NUMBERS: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a stored `state_dict` by name.

    Raises:
        InputError: the file cannot be read, is no such file, or holds more than 32-bit floats and 64-bit integers.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise InputError(f"the weights {path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # What pickle comes across in a damaged file: UnpicklingError, EOFError, MemoryError ...
        said = str(error).rstrip(".") or type(error).__name__
        raise InputError(f"{path} is not a file of weights as PyTorch stored them before 1.6: {said}.") from error


class _TensorsOnly(pickle.Unpickler):
    """Gives each tensor as (storage, offset, shape, strides), and each storage as what its file says of it."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _NUMBERS:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, *_ = pid
        return kind, key


def _read(file: IO[bytes]) -> dict[str, np.ndarray]:
    size = file.seek(0, 2)
    file.seek(0)
    if _TensorsOnly(file).load() != _MAGIC:
        raise ValueError("it begins otherwise")
    _protocol, _machine = _TensorsOnly(file).load(), _TensorsOnly(file).load()
    tensors, keys = _TensorsOnly(file).load(), _TensorsOnly(file).load()
    kinds = {key: _NUMBERS[kind] for (kind, key), *_ in tensors.values()}
    storages = {}
    for key in keys:
        length = int.from_bytes(file.read(8), "little") * kinds[key].itemsize
        if length > size - file.tell():
            raise EOFError("it ends early")
        held = file.read(length)
        storages[key] = np.frombuffer(held, kinds[key])
    return {name: _tensor(storages[key], *place) for name, ((_, key), *place) in tensors.items()}


def _tensor(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if offset < 0 or any(stride < 0 for stride in strides) or last >= len(storage) or math.prod(shape) > len(storage):
        raise ValueError("a tensor reaches beyond its numbers")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps).copy()
