"""The manifest of pictures: one row per row of the metadata, whatever state its file is in.

| column | what |
| --- | --- |
| `image_id` | as in the metadata |
| `path` | absolute path of the file; where it is missing, the folder that was searched |
| `status` | `ok`, `missing`, `empty`, `truncated`, `not_a_picture` |
| `problem` | what is wrong, in words; empty if nothing is |
| `bytes`, `sha256` | size and digest of the file; 0 and empty if missing |
| `width`, `height`, `mode` | of the picture as its file holds it, before EXIF orientation; 0 and empty if unreadable |
| `phash` | perceptual hash of the upright picture, 16 hexadecimal digits (Zauner 2010); empty if unreadable |
| `mtime_ns` | when the file was last changed: with `bytes`, what tells that it need not be read again |
| `decoding` | version of the rules by which pictures are decoded; a row made by other rules is made anew |
"""

import hashlib
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

import imagehash
import pandas as pd

from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, PictureError, decode, to_rgb
from derma_assets.in_order import in_order
from derma_assets.storage.fingerprint import fingerprint_table

# What says where the pictures lie and when they were copied there, not what they show.
_CIRCUMSTANCE = ["path", "problem", "mtime_ns", "decoding"]
_SHOWN = 30
_READS = 3


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One row of the manifest; see the module's table."""

    image_id: str
    path: str
    status: str
    problem: str = ""
    bytes: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    phash: str = ""
    mtime_ns: int = 0
    decoding: int = PREPROCESSING_VERSION


# Readable pictures by `image_id` and path.
Known = dict[tuple[str, str], PictureFile]


@dataclass(frozen=True)
class Manifest:
    """The manifest, and how much work it was.

    Attributes:
        table: One row per picture, see the module's table.
        read: How many files were read.
        unchanged: How many were taken from the previous manifest.
    """

    table: pd.DataFrame
    read: int
    unchanged: int


def build_manifest(
    image_ids: list[str], pictures: dict[str, Path], folder: Path, previous: pd.DataFrame | None
) -> Manifest:
    """Look at the file of every picture, with all cores.

    Args:
        image_ids: The pictures that the metadata name, in their order.
        pictures: Each picture's file by its `image_id`.
        folder: Where the files were looked for; told where one is missing.
        previous: An earlier manifest; a file of unchanged path, size and time of change is not read again.
    """
    known = known_files(previous)
    read = 0

    def look_at(image_id: str) -> tuple[PictureFile, bool]:
        path = pictures.get(image_id)
        if path is None:
            return PictureFile(image_id, str(folder), "missing", f"no file {image_id}.jpg below {folder}"), False
        earlier = as_known(known, image_id, path)
        return (earlier, False) if earlier is not None else (examine(image_id, path), True)

    rows: list[PictureFile] = []
    for row, was_read in in_order(look_at, image_ids, "manifest"):
        rows.append(row)
        read += was_read
    present = sum(row.status != "missing" for row in rows)
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(PictureFile)}
    return Manifest(pd.DataFrame(columns), read=read, unchanged=present - read)


def examine(image_id: str, path: Path) -> PictureFile:
    """Read one file and say what it is; never raises for what is wrong with the file."""
    try:
        content, changed_ns = _read_settled(path)
    except OSError as error:
        return PictureFile(image_id, str(path), "missing", f"{path} cannot be read: {error.strerror}")
    row = PictureFile(
        image_id,
        str(path),
        status="ok",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        mtime_ns=changed_ns,
    )
    try:
        picture = decode(content)
        perceptual = str(imagehash.phash(to_rgb(picture)))
    except PictureError as error:
        return replace(row, status=error.kind, problem=f"{path}: {error}")
    return replace(row, width=picture.width, height=picture.height, mode=picture.mode, phash=perceptual)


def _read_settled(path: Path) -> tuple[bytes, int]:
    """Return a file's bytes and when it was last changed; 0 if it is changed again and again while it is read.

    A file that is replaced while it is read is read again: half of one picture and half of another may decode. What is
    said to be of 0 is read again by the next run.
    """
    for _ in range(_READS):
        before = path.stat()
        content = path.read_bytes()
        after = path.stat()
        if _version(before) == _version(after) and len(content) == after.st_size:
            return content, after.st_mtime_ns
    return content, 0


def _version(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns


def manifest_fingerprint(table: pd.DataFrame) -> str:
    """Return the fingerprint of what the files hold: not of where they lie or when they were written."""
    return fingerprint_table(table.drop(columns=_CIRCUMSTANCE))


def problems(table: pd.DataFrame) -> pd.DataFrame:
    """Return `image_id`, `status`, `problem` and `path` of the pictures that cannot be used."""
    return table.loc[table["status"] != "ok", ["image_id", "status", "problem", "path"]]


def explain_problems(table: pd.DataFrame, allowed: int) -> str:
    """Return a message for a person: which pictures cannot be used, why, and what to do if they exceed `allowed`."""
    unusable = problems(table)
    if unusable.empty:
        return f"all {len(table)} pictures can be read"
    counts = ", ".join(f"{count} {status}" for status, count in unusable["status"].value_counts().items())
    lines = [f"{len(unusable)} of {len(table)} pictures cannot be used ({counts}); {allowed} allowed."]
    lines += [f"  {row.image_id}: {row.problem}" for row in unusable.head(_SHOWN).itertuples()]
    if len(unusable) > _SHOWN:
        lines.append(f"  ... and {len(unusable) - _SHOWN} more, in the table raw_images")
    if len(unusable) > allowed:
        lines.append(
            "Put the right files there and materialize raw_images again, or set "
            f"DERMA_ALLOWED_UNREADABLE={len(unusable)} to go on without these pictures."
        )
    return "\n".join(lines)


def known_files(previous: pd.DataFrame | None) -> Known:
    """Return the readable pictures of an earlier manifest; none of one that another version of this module has made.

    What could not be read is looked at again: it may have been put back with the size and the time that it had.
    """
    if previous is None or list(previous.columns) != [field.name for field in fields(PictureFile)]:
        return {}
    rows = (PictureFile(*values) for values in previous.itertuples(index=False, name=None))
    return {
        (row.image_id, row.path): row for row in rows if row.status == "ok" and row.decoding == PREPROCESSING_VERSION
    }


def as_known(known: Known, image_id: str, path: Path) -> PictureFile | None:
    """Return what is known of a picture's file, or None if it has to be read: it is new, or another size or time."""
    earlier = known.get((image_id, str(path)))
    return earlier if earlier is not None and _unchanged(earlier, path) else None


def _unchanged(earlier: PictureFile, path: Path) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (earlier.bytes, earlier.mtime_ns)
