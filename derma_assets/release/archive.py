"""A folder in one zip file: equal content gives an equal file, whatever its times were and wherever it was packed."""

import zipfile
from pathlib import Path, PurePosixPath

from derma_assets.errors import InputError

# The earliest that a zip file can say.
_TIME = (1980, 1, 1, 0, 0, 0)
_READABLE_BY_ALL = 0o100644 << 16
_UNIX = 3


def pack(folder: Path, archive: Path) -> None:
    """Write all files below `folder`, sorted by path, to the new zip file `archive`."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path, _TIME)
            entry.compress_type, entry.external_attr, entry.create_system = (
                zipfile.ZIP_DEFLATED,
                _READABLE_BY_ALL,
                _UNIX,
            )
            packed.writestr(entry, (folder / path).read_bytes(), compresslevel=9)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a zip file to the new folder `folder`.

    Raises:
        InputError: it is no zip file, is damaged, or has a file that would lie outside.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
                    raise InputError(f"{archive} has a file {name!r} that would lie outside its folder.")
            folder.mkdir(parents=True)
            packed.extractall(folder)
    except (zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{archive} is damaged: {error}.") from error
