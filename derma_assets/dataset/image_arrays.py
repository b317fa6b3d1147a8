"""All pictures at the model's resolution in one memory-mapped array; an unchanged picture is not decoded again.

| file | what |
| --- | --- |
| `pixels.npy` | (n, size, size, 3) uint8 RGB |
| `index.parquet` | one row per picture, in the order of `pixels`: `image_id`, and the `sha256` of its source file |
| `format.json` | `size`, and the `preprocessing` version that made the pixels |
"""

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, PictureError, decode, model_input
from derma_assets.errors import InputError
from derma_assets.progress import progress
from derma_assets.storage.fingerprint import fingerprint_json

PIXELS, INDEX, FORMAT = "pixels.npy", "index.parquet", "format.json"
_BATCH = 256


@dataclass(frozen=True)
class ImageArrays:
    """Pictures read from a folder that `build_image_arrays` wrote.

    Attributes:
        pixels: (n, size, size, 3) uint8, memory-mapped and read-only.
        index: `image_id` and `sha256`, one row per row of `pixels`.
        preprocessing: Version of the preprocessing that made the pixels.
    """

    pixels: np.ndarray
    index: pd.DataFrame
    preprocessing: int

    @classmethod
    def open(cls, folder: Path) -> "ImageArrays":
        """Open a folder without reading its pixels.

        Raises:
            InputError: the folder is missing or its files do not belong together.
        """
        folder = Path(folder)
        try:
            pixels = np.load(folder / PIXELS, mmap_mode="r")
            index = pd.read_parquet(folder / INDEX)
            described = json.loads((folder / FORMAT).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} holds no usable image arrays ({error}); materialize image_arrays") from error
        if len(index) != len(pixels) or pixels.shape[1] != described["size"]:
            raise InputError(f"the files in {folder} do not belong together; materialize image_arrays again")
        return cls(pixels, index, described["preprocessing"])

    @property
    def size(self) -> int:
        """Side of the square pictures, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def image_ids(self) -> list[str]:
        """Identifiers of the pictures, in the order of `pixels`."""
        return self.index["image_id"].tolist()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the content: size, preprocessing, and which source file each picture is made of."""
        rows = self.index[["image_id", "sha256"]].to_numpy().tolist()
        return fingerprint_json([self.size, self.preprocessing, rows])

    def rows(self, image_ids: Sequence[str]) -> np.ndarray:
        """Return where the pictures `image_ids` are in `pixels`: (m,) int64.

        Raises:
            InputError: a picture is not there; the message names it.
        """
        found = pd.Index(self.index["image_id"]).get_indexer(pd.Index(image_ids))
        if (found < 0).any():
            absent = [image_id for image_id, row in zip(image_ids, found, strict=True) if row < 0]
            raise InputError(
                f"{len(absent)} of {len(image_ids)} pictures are not in image_arrays, the first is {absent[0]}: "
                "materialize image_arrays again, and look at raw_images for pictures that could not be read"
            )
        return found.astype(np.int64)


@dataclass(frozen=True)
class BuildCounts:
    """How many pictures were decoded, and how many were copied from an earlier version."""

    decoded: int
    reused: int


def build_image_arrays(manifest: pd.DataFrame, size: int, folder: Path, previous: Path | None) -> BuildCounts:
    """Write the readable pictures of `manifest` as arrays to the new folder `folder`.

    Args:
        manifest: The table `raw_images`; rows whose `status` is not `ok` are left out.
        size: Side of the square pictures, in pixels.
        folder: Folder to make.
        previous: Folder of an earlier version; its picture is copied where source file, size and preprocessing match.

    Raises:
        InputError: no picture is readable, or one has changed since the manifest was made.
    """
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "path"]]
    if readable.empty:
        raise InputError("none of the pictures can be read: look at the table raw_images for what is wrong with each")
    earlier, known = _reusable(previous, size)
    digests: list[str] = readable["sha256"].tolist()
    paths: list[str] = readable["path"].tolist()

    def pixels_of(item: tuple[str, str]) -> np.ndarray:
        digest, path = item
        if earlier is not None and digest in known:
            return earlier.pixels[known[digest]]
        return _decode_unchanged(Path(path), digest, size)

    folder.mkdir(parents=True)
    shape = (len(readable), size, size, 3)
    with (folder / PIXELS).open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as threads:
        # Written in order by plain writes: on a full disk a write fails with an error that can be explained,
        # while a page of a memory-mapped file that finds no room kills the process.
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, described)
        batches = (threads.map(pixels_of, batch) for batch in _batched(list(zip(digests, paths, strict=True))))
        for pixels in progress(itertools.chain.from_iterable(batches), "image arrays", total=len(readable)):
            file.write(pixels.tobytes())
    readable[["image_id", "sha256"]].reset_index(drop=True).to_parquet(folder / INDEX)
    (folder / FORMAT).write_text(json.dumps({"size": size, "preprocessing": PREPROCESSING_VERSION}) + "\n")
    reused = sum(digest in known for digest in digests)
    return BuildCounts(decoded=len(digests) - reused, reused=reused)


def _reusable(previous: Path | None, size: int) -> tuple[ImageArrays | None, dict[str, int]]:
    """Return an earlier version and the row of each of its source files, if its pictures are as they would be now."""
    if previous is None or not previous.exists():
        return None, {}
    try:
        earlier = ImageArrays.open(previous)
    except InputError:
        return None, {}
    if (earlier.size, earlier.preprocessing) != (size, PREPROCESSING_VERSION):
        return None, {}
    return earlier, {digest: row for row, digest in enumerate(earlier.index["sha256"])}


def _decode_unchanged(path: Path, digest: str, size: int) -> np.ndarray:
    """Return the model's pixels of the file `path`, provided that its SHA-256 is still `digest`."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == digest:
            return model_input(decode(content), size)
        problem = "has changed"
    except (OSError, PictureError) as error:
        problem = f"can no longer be read ({error})"
    raise InputError(f"{path} {problem} since raw_images was made: materialize raw_images again")


def _batched(items: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield consecutive batches, so that pictures waiting to be written never fill the memory."""
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
