"""A folder in one `.tar.xz`: equal content gives an equal file, whatever its times were and wherever it was packed.

Not a zip file: that packs each file by itself, and is half a megabyte larger where several files are nearly the same.
"""

import io
import lzma
import tarfile
from pathlib import Path, PurePosixPath

from derma_assets.errors import InputError

_READABLE_BY_ALL = 0o644


def pack(folder: Path, archive: Path) -> None:
    """Write all files below `folder`, sorted by path, to the new file `archive`."""
    with tarfile.open(archive, "w:xz", preset=9, format=tarfile.PAX_FORMAT) as packed:
        for path in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
            content = (folder / path).read_bytes()
            # Time and owner stay zero.
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), _READABLE_BY_ALL
            packed.addfile(entry, io.BytesIO(content))


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive to the new folder `folder`.

    Raises:
        InputError: it is no such archive, is damaged, or has what is no file or would lie outside.
    """
    try:
        with tarfile.open(archive, "r:xz") as packed:
            members = packed.getmembers()
            for member in members:
                path = PurePosixPath(member.name)
                outside = path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name
                if outside or not member.isreg():
                    raise InputError(
                        f"{archive} has {member.name!r}, which is no file or would lie outside its folder."
                    )
            for member in members:
                (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                with packed.extractfile(member) as file:  # type: ignore[union-attr]  # as it is a file
                    (folder / member.name).write_bytes(file.read())
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{archive} is damaged: {error}.") from error


def read_packed(archive: Path, path: str) -> bytes:
    """Return one file of an archive.

    Raises:
        InputError: it is no such archive, is damaged, or has no such file.
    """
    try:
        with tarfile.open(archive, "r:xz") as packed:
            file = packed.extractfile(path) if path in packed.getnames() else None
            if file is None:
                raise InputError(f"{archive} has no file {path}.")
            return file.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise InputError(f"{archive} cannot be read: {error}.") from error
