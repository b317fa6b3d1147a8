"""Where the data set comes from: generated, a folder that a person names, or downloaded."""

from pathlib import Path

from tqdm import tqdm

from derma_assets.dataset.dataverse import download_ham10000
from derma_assets.dataset.ham10000 import Ham10000, find_ham10000
from derma_assets.dataset.sample import ensure_sample
from derma_assets.errors import InputError
from derma_assets.settings import Settings
from derma_assets.storage.locks import holding


def locate_dataset(chosen: Settings) -> Ham10000:
    """Return where the metadata and pictures of the chosen data set are, making or fetching them first if needed.

    Raises:
        InputError: the folder is missing or incomplete, or the download failed.
        StorageError: the generated or downloaded data cannot be written.
    """
    if chosen.is_synthetic or chosen.ham10000_dir is None:
        folder = [(chosen.dataset, None)]
        with holding(chosen.root, writes=folder, does="generates or downloads the data", say=tqdm.write):
            return find_ham10000(_folder(chosen))
    return find_ham10000(_folder(chosen))


def _folder(chosen: Settings) -> Path:
    if chosen.is_synthetic:
        if chosen.ham10000_dir is not None:
            raise InputError(
                f"DERMA_HAM10000_DIR is {chosen.ham10000_dir}, but the chosen data set is the embedded sample: "
                "set DERMA_DATASET=ham10000 to use the folder, or unset DERMA_HAM10000_DIR."
            )
        return ensure_sample(chosen.root / "sample", chosen.seed)
    if chosen.ham10000_dir is not None:
        return chosen.ham10000_dir.expanduser()
    return download_ham10000(chosen.dataverse_url, chosen.root / "ham10000")
