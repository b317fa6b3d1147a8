"""Rows of one or several `.npy` files, read as they are asked for: like an array, but never in memory as a whole."""

import os
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

_AT_ONCE = 256


class StoredRows:
    """A read-only array over files, indexed along its first axis by an int, a slice or an array of ints.

    What is asked for is read from the files and belongs to the caller. They are not memory-mapped: what a process has
    read would be counted as its memory, and a read that fails is an error instead of the end of the process.

    Attributes:
        shape: (n, ...), as of an array.
        dtype: Of the values.
    """

    def __init__(self, files: Sequence[Path], file: np.ndarray | None = None, row: np.ndarray | None = None) -> None:
        """Open files, which may be replaced afterwards: this goes on reading what they held.

        Args:
            files: At least one; each holds an array of the same type and shape, but for its length.
            file: (n,) which of the files each row is in; left out, the files come one after the other.
            row: (n,) and which row of it.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is no such array, or is not whole.
        """
        parts = [_Part(path) for path in files]
        self.dtype = parts[0].dtype
        if len({(part.dtype, part.shape[1:]) for part in parts}) > 1:
            raise ValueError(f"{files[0]} and the files beside it hold arrays of different kinds")
        lengths = [part.shape[0] for part in parts]
        self._parts = parts
        self._file = np.repeat(np.arange(len(parts)), lengths) if file is None else np.asarray(file, np.int64)
        self._row = np.concatenate([np.arange(n) for n in lengths]) if row is None else np.asarray(row, np.int64)
        if len(self._row) and (self._row >= np.asarray(lengths)[self._file]).any():
            raise ValueError(f"{files[0]} and the files beside it have fewer rows than are expected")
        self.shape: tuple[int, ...] = (len(self._row), *parts[0].shape[1:])

    def at(self, rows: np.ndarray) -> "StoredRows":
        """Return some of the rows, which are not read before they are asked for.

        Args:
            rows: (m,) of this array's.
        """
        chosen = copy(self)
        chosen._file, chosen._row = self._file[rows], self._row[rows]
        chosen.shape = (len(chosen._row), *self.shape[1:])
        return chosen

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return a row by an int, or rows by a slice or a (m,) array of ints; negative ones count from the end."""
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            return self._read(np.array([index % len(self)]))[0]
        if isinstance(index, slice):
            return self._read(np.arange(len(self))[index])
        wanted = np.asarray(None if isinstance(index, tuple) else index)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise TypeError("rows are asked for by an int, a slice or an array of ints")
        if wanted.size and not (-len(self) <= wanted.min() and wanted.max() < len(self)):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {len(self)}")
        return self._read(wanted.astype(np.int64) % max(len(self), 1))

    def __iter__(self) -> Iterator[np.ndarray]:
        for batch in self.batches():
            yield from batch

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError(f"{len(self)} rows are not read into memory as a whole: ask for the rows that are needed")

    def batches(self, size: int = _AT_ONCE) -> Iterator[np.ndarray]:
        """Yield all rows, so many at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def _read(self, wanted: np.ndarray) -> np.ndarray:
        rows = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        for to, file, row in zip(rows, self._file[wanted].tolist(), self._row[wanted].tolist(), strict=True):
            self._parts[file].read_into(to, row)
        return rows


class _Part:
    """One `.npy` file, open as long as this lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = path.open("rb", buffering=0)
        if np.lib.format.read_magic(self._handle) != (1, 0):
            raise ValueError(f"{path} is no array as it is written here")
        self.shape, by_columns, self.dtype = np.lib.format.read_array_header_1_0(self._handle)
        self._begin = self._handle.tell()
        self._bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        if by_columns or os.fstat(self._handle.fileno()).st_size != self._begin + self.shape[0] * self._bytes:
            raise ValueError(f"{path} is not whole")

    def read_into(self, row: np.ndarray, number: int) -> None:
        # At a place of its own, not where another thread has got to.
        place = self._begin + number * self._bytes
        read = os.preadv(self._handle.fileno(), [row.reshape(-1).view(np.uint8).data], place)
        if read != self._bytes:
            raise OSError(f"{self._path} ends within row {number}")


# What can be gone through picture by picture or batch by batch, in memory or not.
Rows = np.ndarray | StoredRows
