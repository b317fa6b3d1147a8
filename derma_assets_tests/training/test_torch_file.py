"""Files of weights as PyTorch stored them: what they hold is read, and nothing of them is run."""

import io
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from derma_assets.errors import InputError
from derma_assets.training.torch_file import _MAGIC, read_tensors

NUMBERS = np.arange(12, dtype=np.float32)


class _Storage:
    def __init__(self, kind: str, key: str) -> None:
        self.kind, self.key = kind, key


class _Tensor:
    """Is pickled as a tensor of PyTorch is."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.place = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.place


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Storage):
            return None
        return "storage", getattr(sys.modules["torch"], obj.kind), obj.key, "cpu", len(NUMBERS), None


@contextmanager
def _torch() -> Iterator[None]:
    """Have modules of PyTorch's names, as only whoever writes such a file needs."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for kind in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_: Any) -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]


def _write(path: Path, tensors: dict[str, Any], storages: dict[str, np.ndarray]) -> Path:
    with path.open("wb") as file, _torch():
        for value in (_MAGIC, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        _Pickler(file, protocol=2).dump(OrderedDict(tensors))
        pickle.dump(list(storages), file, protocol=2)
        for numbers in storages.values():
            file.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    return path


def _plain(path: Path, kind: str = "FloatStorage", **changes: Any) -> Path:
    place = {"offset": 2, "shape": (2, 3), "strides": (3, 1), **changes}
    return _write(path, {"a.weight": _Tensor(_Storage(kind, "k"), **place)}, {"k": NUMBERS})


def test_tensors_are_read_with_their_shapes(tmp_path: Path) -> None:
    shared, whole = _Storage("FloatStorage", "k"), _Storage("LongStorage", "n")
    tensors = {
        "a.weight": _Tensor(shared, 2, (2, 3), (3, 1)),
        "a.turned": _Tensor(shared, 2, (3, 2), (1, 3)),
        "a.count": _Tensor(whole, 0, (), ()),
    }
    read = read_tensors(_write(tmp_path / "w.pth", tensors, {"n": np.array([7]), "k": NUMBERS}))
    np.testing.assert_array_equal(read["a.weight"], [[2, 3, 4], [5, 6, 7]])
    np.testing.assert_array_equal(read["a.turned"], read["a.weight"].T)
    assert (read["a.count"].dtype, read["a.count"].item(), read["a.weight"].dtype) == (np.int64, 7, np.float32)


def test_a_file_that_would_run_something_runs_nothing(tmp_path: Path) -> None:
    class Run:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    path = _write(tmp_path / "w.pth", {"a": Run()}, {})
    with pytest.raises(InputError, match=r"it holds a (posix|nt)\.mkdir"):
        read_tensors(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "place",
    [
        {"offset": 7},
        {"offset": -1},
        {"strides": (-3, 1)},
        {"shape": (5, 3)},
        {"shape": (1 << 45, 1), "strides": (0, 0)},
        {"strides": (1 << 70, 1)},
        {"kind": "HalfStorage"},
    ],
)
def test_a_tensor_that_is_not_in_the_file_is_refused(tmp_path: Path, place: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not a file of weights"):
        read_tensors(_plain(tmp_path / "w.pth", **place))


def test_a_file_cut_short_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = _plain(tmp_path / "w.pth")
    whole = path.read_bytes()
    other = io.BytesIO()
    np.save(other, NUMBERS)
    longer = whole[:-56] + (1 << 40).to_bytes(8, "little") + whole[-48:]
    huge = pickle.dumps(_MAGIC, 2) + b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little")
    others = (b"", b"PK\x03\x04", other.getvalue(), pickle.dumps(1))
    for content in (longer, huge, whole[:-4], whole[: len(whole) // 2], *others):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a file of weights"):
            read_tensors(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_tensors(tmp_path / "none.pth")
