"""Finding HAM10000's metadata, pictures and lesion masks in a folder, however they are nested below it."""

from dataclasses import dataclass
from pathlib import Path

from derma_assets.dataset.visible_files import visible_files
from derma_assets.errors import InputError

METADATA_STEM = "HAM10000_metadata"
_METADATA_ENDINGS = (".csv", ".tab", ".tsv", ".txt", "")
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
_MASK = "_segmentation"  # lesion masks lie beside the pictures and are named <image_id>_segmentation.png
_WHAT_TO_DO = (
    "Set DERMA_HAM10000_DIR to the folder that holds HAM10000_metadata.csv and the pictures "
    "(doi:10.7910/DVN/DBW86T), or leave it empty to have them downloaded."
)


@dataclass(frozen=True)
class Ham10000:
    """Where a data set in HAM10000's layout is.

    Attributes:
        metadata: The metadata table.
        pictures: Every picture's file by its name without ending, which is its `image_id`.
        masks: The lesion masks' files by the `image_id` of their picture; empty where there are none.
        folder: The folder that all were found below.
    """

    metadata: Path
    pictures: dict[str, Path]
    masks: dict[str, Path]
    folder: Path


def find_ham10000(folder: Path) -> Ham10000:
    """Find metadata, pictures and masks below `folder`: in part folders or in one, at any depth.

    Where a picture is there more than once, JPEG comes before PNG, then the path nearest to `folder`.

    Raises:
        InputError: the folder is missing or no folder, or holds no metadata, several, or no pictures.
    """
    if not folder.exists():
        raise InputError(f"there is no folder {folder}. {_WHAT_TO_DO}")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder. {_WHAT_TO_DO}")
    files = visible_files(folder, _refuse)
    metadata = _find_metadata(folder, files)
    pictures: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for file in sorted(files, key=_preference):
        if file.suffix.lower() in _PICTURE_ENDINGS:
            found = masks if file.stem.endswith(_MASK) else pictures
            found.setdefault(file.stem.removesuffix(_MASK), file)
    if not pictures:
        raise InputError(
            f"no pictures ({', '.join(_PICTURE_ENDINGS)}) below {folder}: unpack HAM10000_images_part_1.zip and "
            f"HAM10000_images_part_2.zip there. {_WHAT_TO_DO}"
        )
    return Ham10000(metadata, pictures, masks, folder)


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}. {_WHAT_TO_DO}") from error


def _preference(file: Path) -> tuple[int, int, str]:
    ending = file.suffix.lower()
    rank = _PICTURE_ENDINGS.index(ending) if ending in _PICTURE_ENDINGS else len(_PICTURE_ENDINGS)
    return rank, len(file.parts), str(file)


def _find_metadata(folder: Path, files: list[Path]) -> Path:
    candidates = [file for file in files if file.stem == METADATA_STEM and file.suffix.lower() in _METADATA_ENDINGS]
    if not candidates:
        raise InputError(f"no {METADATA_STEM}.csv (or .tab, or without ending) below {folder}. {_WHAT_TO_DO}")
    nearest = min(len(file.parts) for file in candidates)
    candidates = sorted(
        (file for file in candidates if len(file.parts) == nearest),
        key=lambda file: _METADATA_ENDINGS.index(file.suffix.lower()),
    )
    if len({file.parent for file in candidates}) > 1:
        listed = ", ".join(str(file) for file in candidates)
        raise InputError(f"several metadata tables below {folder}: {listed}. Leave one, or name its own folder.")
    return candidates[0]
