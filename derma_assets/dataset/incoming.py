"""New pictures: folders dropped beside the data set, each taken in once it is whole.

A batch is a folder below `incoming` with a metadata table in HAM10000's columns (`metadata.csv`) and the pictures that
it names, at any depth. Copying takes time, over a network a lot of it, and a picture that is still being copied is
there already: a batch counts once its table can be read and every picture it names can be decoded to its last byte.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from derma_assets.dataset.manifest import Known, as_known, examine
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets.dataset.visible_files import visible_files
from derma_assets.errors import InputError
from derma_assets.in_order import in_order

METADATA = "metadata.csv"
# In the `attrs` of the metadata: the names of the batches whose rows they have.
TAKEN_IN = "batches"
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Batch:
    """A folder of new pictures.

    Attributes:
        folder: The folder.
        metadata: Its table, see `metadata_schema`; None until it can be read.
        pictures: Its picture files by `image_id`: those that its table names, or all until it can be read.
        waiting_for: Why it is not taken in yet, a line each; empty if it is.
        examined: How many of its pictures had to be read to find that out.
    """

    folder: Path
    metadata: pd.DataFrame | None
    pictures: dict[str, Path]
    waiting_for: tuple[str, ...]
    examined: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it is taken in."""
        return not self.waiting_for


def read_batches(folder: Path, known: Known | None = None) -> list[Batch]:
    """Return the batches below `folder`, by name; none if there is no such folder.

    Args:
        folder: Folder of the batches.
        known: Pictures that have been read before, see `manifest.known_files`; they are not read again while size and
            time are the same. What is read now and is a whole picture is added.

    Raises:
        InputError: `folder` cannot be read.
    """
    known = {} if known is None else known
    batches = [_listed(path) for path in _folders(folder)]
    named = [
        (batch.folder, image_id, path)
        for batch in batches
        if batch.metadata is not None
        for image_id, path in batch.pictures.items()
    ]
    unknown = [one for one in named if as_known(known, *one[1:]) is None]
    problems: dict[Path, list[str]] = {batch.folder: [] for batch in batches}
    examined = dict.fromkeys(problems, 0)
    rows = in_order(lambda one: examine(*one[1:]), unknown, "new pictures") if unknown else ()
    for (of, image_id, path), row in zip(unknown, rows, strict=True):
        examined[of] += 1
        if row.problem:
            problems[of].append(row.problem)
        else:
            known[image_id, str(path)] = row
    return [
        replace(batch, waiting_for=(*batch.waiting_for, *problems[batch.folder]), examined=examined[batch.folder])
        for batch in batches
    ]


def dropped_pictures(folder: Path, taken_in: Collection[str] = ()) -> dict[str, Path]:
    """Return the picture files of all batches by `image_id`; none is read.

    Args:
        folder: Folder of the batches.
        taken_in: Names of batches whose files are meant where others have some of the same names: somebody may be
            dropping the same batch for a second time.

    Raises:
        InputError: `folder` cannot be read.
    """
    folders = sorted(_folders(folder), key=lambda path: path.name in taken_in)  # the last one holds
    return {image_id: path for batch in folders for image_id, path in _pictures(batch).items()}


def stop_if_damaged(
    batches: list[Batch], metadata: pd.DataFrame, earlier_ids: Collection[str], taken_in: Collection[str]
) -> None:
    """Stop where rows would drop out because a batch that was taken in is there, but no longer whole.

    One that is not there any more was taken away.

    Args:
        batches: As they are now.
        metadata: With the rows of the whole ones.
        earlier_ids: Pictures that the metadata had before.
        taken_in: Names of the batches that they had the rows of, if that is known.

    Raises:
        InputError: the message names the first such batch, and says what to do.
    """
    gone = set(earlier_ids) - set(metadata["image_id"])
    for batch in batches if gone else ():
        names = set(batch.pictures) | set(batch.metadata["image_id"] if batch.metadata is not None else ())
        if not batch.is_whole and (batch.folder.name in taken_in or gone & names):
            raise InputError(
                f"{batch.folder} was taken in earlier and is no longer whole: {batch.waiting_for[0]}. Nothing was "
                f"changed. Put it right, or wait if somebody is copying into it; new pictures go into a folder of "
                f"their own. To take the batch away, remove or move the whole folder."
            )


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
    """Return size and time of change of every file below `folder` that is not hidden, by its relative path.

    Two equal ones in a row say that nobody is writing there; what the clock says does not matter.
    """
    found = {}
    for path in sorted(visible_files(folder)):
        try:
            state = path.stat()
        except FileNotFoundError:  # moved away meanwhile
            continue
        found[path.relative_to(folder.absolute()).as_posix()] = (state.st_size, state.st_mtime_ns)
    return found


def _folders(folder: Path) -> list[Path]:
    """Return the folders of the batches below `folder`, by name."""
    try:
        if not folder.is_dir():
            return []
        return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error


def _pictures(folder: Path) -> dict[str, Path]:
    """Return the picture files of a batch by their names without ending.

    Raises:
        InputError: a folder in it cannot be read.
    """
    return {
        path.stem: path for path in sorted(visible_files(folder, _refuse)) if path.suffix.lower() in _PICTURE_ENDINGS
    }


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error


def _listed(folder: Path) -> Batch:
    """Return a batch as its table and the names of its files show it; no picture is read."""
    try:
        pictures = _pictures(folder)
    except InputError as error:
        return Batch(folder, None, {}, (str(error),))
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
    named = {image_id: pictures[image_id] for image_id in image_ids if image_id in pictures}
    return Batch(folder, metadata, named, tuple(waiting))
