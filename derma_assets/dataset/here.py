"""The picture files of this host: the manifest may have been made on another one, where they lie elsewhere."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from derma_assets.dataset.ham10000 import Ham10000
from derma_assets.dataset.incoming import dropped_pictures
from derma_assets.dataset.source import locate_dataset
from derma_assets.settings import Settings


def picture_files(dataset: Ham10000, incoming: Path, taken_in: Collection[str] = ()) -> dict[str, Path]:
    """Return every picture's file by its `image_id`: the data set's, and those dropped into the folder `incoming`.

    Files are listed, not read. See `dropped_pictures` for `taken_in`.

    Raises:
        InputError: the folder `incoming` cannot be read.
    """
    return {**dropped_pictures(incoming, taken_in), **dataset.pictures}


def on_this_host(pictures: pd.DataFrame, chosen: Settings) -> pd.DataFrame:
    """Return rows of the table `raw_images` with the paths that their pictures have on this host.

    The files' content is the reader's to check: the table has their SHA-256.

    Args:
        pictures: With the columns `image_id` and `path`; those of others are left as they are.
        chosen: Where the pictures of this host are.

    Raises:
        InputError: the data set is not here and cannot be had, or the folder of new pictures cannot be read.
        StorageError: the generated or downloaded data cannot be written.
    """
    if all(Path(path).exists() for path in pictures["path"]):
        return pictures
    here = pictures["image_id"].map(picture_files(locate_dataset(chosen), chosen.incoming))
    return pictures.assign(path=here.fillna(pictures["path"]).astype(str))
