"""All pictures at the model's resolution, read as they are needed; an unchanged picture is not decoded again.

A shard is a folder:

| file | what |
| --- | --- |
| `pixels.npy` | (n, size, size, 3) uint8 RGB |
| `index.parquet` | one row per picture, in the order of `pixels`: `image_id`, and the `sha256` of its source file |
| `format.json` | `size`, and the `preprocessing` version that made the pixels |

Shards are gathered in a folder that holds each in a folder of its own, by hard links where the disk can: the pixels are
there once. Its `index.parquet` has all pictures in the order of their names, so that nothing depends on how they were
dealt, with their `shard` and the `row` in it; its `format.json` names the `shards`, too.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, PictureError, decode, model_input
from derma_assets.dataset.stored_rows import StoredRows
from derma_assets.errors import InputError
from derma_assets.in_order import in_order
from derma_assets.storage.atomic import link_folder
from derma_assets.storage.fingerprint import fingerprint_json

PIXELS, INDEX, FORMAT = "pixels.npy", "index.parquet", "format.json"
NONE_READABLE = "none of the pictures can be read: look at the table raw_images for what is wrong with each"
# An earlier version is worth looking through if it may have more than this share of the pictures.
_WORTH_LOOKING = 0.1


@dataclass(frozen=True)
class ImageArrays:
    """Pictures read from a folder that `build_shard` or `gather_shards` wrote.

    Attributes:
        pixels: (n, size, size, 3) uint8, read from the files as it is indexed.
        index: `image_id` and `sha256`, one row per row of `pixels`.
        preprocessing: Version of the preprocessing that made the pixels.
    """

    pixels: StoredRows
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
            index = pd.read_parquet(folder / INDEX)
            described = json.loads((folder / FORMAT).read_text())
            if "shards" in described:
                files = [folder / shard / PIXELS for shard in described["shards"]]
                pixels = StoredRows(files, index["shard"].to_numpy(), index["row"].to_numpy())
            else:
                pixels = StoredRows([folder / PIXELS])
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise InputError(f"{folder} holds no usable image arrays ({error}); materialize image_arrays") from error
        if len(index) != len(pixels) or pixels.shape[1] != described["size"]:
            raise InputError(f"the files in {folder} do not belong together; materialize image_arrays again")
        return cls(pixels, index[["image_id", "sha256"]], described["preprocessing"])

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
        rows = self.index.sort_values("image_id")[["image_id", "sha256"]].to_numpy().tolist()
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


def build_image_arrays(manifest: pd.DataFrame, size: int, folder: Path) -> BuildCounts:
    """Write the readable pictures of `manifest`, in its order, as one shard to the new folder `folder`.

    Args:
        manifest: As the table `raw_images`; rows whose `status` is not `ok` are left out.
        size: Side of the square pictures, in pixels.
        folder: Folder to make.

    Raises:
        InputError: no picture is readable, or one has changed since the manifest was made.
    """
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "path"]]
    if readable.empty:
        raise InputError(NONE_READABLE)
    return build_shard(readable, size, folder)


def build_shard(pictures: pd.DataFrame, size: int, folder: Path, previous: Iterable[Path] = ()) -> BuildCounts:
    """Write pictures, in their order, to the new folder `folder`.

    Args:
        pictures: `image_id`, `sha256` and `path` of each; there may be none.
        size: Side of the square pictures, in pixels.
        folder: Folder to make.
        previous: Folders of earlier versions, the likeliest first; a picture is copied from one where source file, size
            and preprocessing match. They are asked for one by one, as long as much is missing.

    Raises:
        InputError: a picture has changed since it was listed.
    """
    digests: list[str] = pictures["sha256"].tolist()
    paths: list[str] = pictures["path"].tolist()
    known = _known(previous, digests, size)

    def pixels_of(item: tuple[str, str]) -> np.ndarray:
        digest, path = item
        if digest in known:
            earlier, row = known[digest]
            return earlier[row]
        return _decode_unchanged(Path(path), digest, size)

    folder.mkdir(parents=True)
    shape = (len(pictures), size, size, 3)
    with (folder / PIXELS).open("wb") as file:
        # Written in order by plain writes: on a full disk a write fails with an error that can be explained,
        # while a page of a memory-mapped file that finds no room kills the process.
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, described)
        for pixels in in_order(pixels_of, list(zip(digests, paths, strict=True)), "image arrays"):
            file.write(pixels.tobytes())
    pictures[["image_id", "sha256"]].reset_index(drop=True).to_parquet(folder / INDEX)
    (folder / FORMAT).write_text(json.dumps({"size": size, "preprocessing": PREPROCESSING_VERSION}) + "\n")
    reused = sum(digest in known for digest in digests)
    return BuildCounts(decoded=len(digests) - reused, reused=reused)


def gather_shards(shards: Sequence[Path], folder: Path) -> None:
    """Write a folder that holds all the shards as one, to the new folder `folder`.

    Args:
        shards: Folders that `build_shard` wrote, all of them with pictures of one size.
        folder: Folder to make, best on the disk of the shards.

    Raises:
        InputError: there is no picture in any, a picture is in two, or they do not belong together.
    """
    names = [f"shard-{number:02d}" for number in range(len(shards))]
    opened = [ImageArrays.open(shard) for shard in shards]
    formats = {(arrays.size, arrays.preprocessing) for arrays in opened}
    if len(formats) > 1:
        raise InputError(f"the shards {', '.join(map(str, shards))} differ in size or preprocessing: make them again")
    index = pd.concat(
        [arrays.index.assign(shard=number, row=np.arange(len(arrays.index))) for number, arrays in enumerate(opened)]
    ).sort_values("image_id", ignore_index=True)
    if index.empty:
        raise InputError(NONE_READABLE)
    if index["image_id"].duplicated().any():
        twice = index.loc[index["image_id"].duplicated(), "image_id"].iloc[0]
        raise InputError(f"the picture {twice} is in two shards: materialize raw_images and all below it again")
    folder.mkdir(parents=True)
    for name, shard in zip(names, shards, strict=True):
        link_folder(shard, folder / name)
    index.to_parquet(folder / INDEX)
    ((size, preprocessing),) = formats
    described = {"size": size, "preprocessing": preprocessing, "shards": names}
    (folder / FORMAT).write_text(json.dumps(described) + "\n")


def _known(previous: Iterable[Path], digests: list[str], size: int) -> dict[str, tuple[StoredRows, int]]:
    """Return where earlier versions have the pictures, by digest, if they are as they would be now."""
    known: dict[str, tuple[StoredRows, int]] = {}
    looking = iter(previous)
    while sum(digest not in known for digest in digests) > _WORTH_LOOKING * len(digests):
        folder = next(looking, None)
        if folder is None:
            break
        try:
            earlier = ImageArrays.open(folder)
        except InputError:
            continue
        if (earlier.size, earlier.preprocessing) == (size, PREPROCESSING_VERSION):
            known |= {digest: (earlier.pixels, row) for row, digest in enumerate(earlier.index["sha256"])}
    return known


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
