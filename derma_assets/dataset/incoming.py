"""New pictures: folders dropped beside the data set, each taken in once it is whole.

A batch is a folder below `incoming` with a metadata table in HAM10000's columns (`metadata.csv`) and the pictures that
it names, at any depth. Copying takes time, over a network a lot of it, and a picture that is still being copied is
there already: a batch counts once its table can be read and every picture it names can be decoded to its last byte.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from derma_assets.dataset.manifest import examine
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets.errors import InputError

METADATA = "metadata.csv"
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Batch:
    """A folder of new pictures.

    Attributes:
        folder: The folder.
        metadata: Its table, see `metadata_schema`; None until it can be read.
        pictures: Its picture files by `image_id`.
        waiting_for: Why it is not taken in yet, a line each; empty if it is.
    """

    folder: Path
    metadata: pd.DataFrame | None
    pictures: dict[str, Path]
    waiting_for: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is taken in."""
        return not self.waiting_for


def read_batches(folder: Path) -> list[Batch]:
    """Return the batches below `folder`, by name; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return [_read(path) for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def dropped_pictures(batches: list[Batch]) -> dict[str, Path]:
    """Return the picture files of all batches by `image_id`."""
    return {image_id: path for batch in batches for image_id, path in batch.pictures.items()}


def with_batches(metadata: pd.DataFrame, batches: list[Batch]) -> pd.DataFrame:
    """Return the metadata with the rows of every whole batch behind them.

    Raises:
        InputError: a batch names a picture that is there already, or another diagnosis of a lesion that is.
    """
    table = metadata
    for batch in (batch for batch in batches if batch.is_whole):
        assert batch.metadata is not None
        twice = set(table["image_id"]) & set(batch.metadata["image_id"])
        if twice:
            raise InputError(
                f"{batch.folder / METADATA} names {len(twice)} pictures that the data have already, such as "
                f"{min(twice)}: remove those rows, or the whole folder if it was dropped twice."
            )
        known = table.drop_duplicates("lesion_id").set_index("lesion_id")["dx"]
        before = batch.metadata["lesion_id"].map(known)
        other = batch.metadata[before.notna() & before.ne(batch.metadata["dx"])]
        if len(other):
            row = other.iloc[0]
            raise InputError(
                f"{batch.folder / METADATA} says {row['dx']} of lesion {row['lesion_id']}, the data say "
                f"{known[row['lesion_id']]}: a lesion has one diagnosis, correct the one that is wrong."
            )
        table = pd.concat([table, batch.metadata], ignore_index=True)
    return table


def signature(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file below `folder`, by its relative path.

    Two equal ones in a row say that nobody is writing there; what the clock says does not matter.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            state = path.stat()
        except FileNotFoundError:  # moved away meanwhile
            continue
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = (state.st_size, state.st_mtime_ns)
    return found


def _read(folder: Path) -> Batch:
    pictures = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _PICTURE_ENDINGS}
    table = folder / METADATA
    if not table.is_file():
        return Batch(folder, None, pictures, (f"no {METADATA}",))
    try:
        metadata = read_metadata(table)
    except InputError as error:
        return Batch(folder, None, pictures, (str(error),))
    image_ids = metadata["image_id"].tolist()
    absent = [image_id for image_id in image_ids if image_id not in pictures]
    waiting = [f"{len(absent)} of {len(metadata)} pictures, such as {absent[0]}"] if absent else []
    unnamed = sorted(set(pictures) - set(image_ids))
    if unnamed:  # half a table can look whole
        waiting.append(f"{len(unnamed)} pictures that {METADATA} does not name, such as {unnamed[0]}")
    for image_id in image_ids:
        problem = _problem(pictures[image_id]) if image_id in pictures else ""
        if problem:
            waiting.append(problem)
    named = {image_id: pictures[image_id] for image_id in image_ids if image_id in pictures}
    return Batch(folder, metadata, named, tuple(waiting))


def _problem(path: Path) -> str:
    try:
        state = path.stat()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return _problem_of(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _problem_of(path: Path, size: int, changed_ns: int) -> str:
    """Return what is wrong with a picture file, or nothing; a file that has not changed is decoded once."""
    return examine(path.stem, path).problem
