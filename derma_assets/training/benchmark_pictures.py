"""The pictures that the benchmark trains on: files for the paper's way, arrays for ours."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.dataset.ham10000 import Ham10000
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets.dataset.preprocessing import model_input, open_picture
from derma_assets.diagnoses import CODES
from derma_assets.progress import progress


@dataclass(frozen=True)
class BenchmarkPictures:
    """The pictures of one epoch, in the order of `files`.

    Attributes:
        files: Columns `path` and `dx`.
        rows: (n,) int rows of the pixel array; a row is there several times if the data set has fewer pictures.
        labels: (n,) int class indices in the order of `CODES`.
    """

    files: pd.DataFrame
    rows: np.ndarray
    labels: np.ndarray

    def decode(self, size: int, folder: Path) -> np.ndarray:
        """Write each picture once as `image_arrays` does, to a file in `folder`, and return it memory-mapped.

        Returns:
            (m, size, size, 3) uint8; `rows` says which of them each row of `files` is.

        Raises:
            InputError: a picture cannot be read; the message names it.
        """
        paths = self.files["path"].iloc[: self.rows.max() + 1]
        path = folder / f"{size}.npy"
        pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (len(paths), size, size, 3))
        with ThreadPoolExecutor() as threads:
            decoded = threads.map(lambda one: model_input(open_picture(one), size), paths)
            for row, picture in enumerate(progress(decoded, f"decoding to {size} px", total=len(paths))):
                pixels[row] = picture
        pixels.flush()
        return np.load(path, mmap_mode="r")


def benchmark_pictures(dataset: Ham10000, count: int) -> BenchmarkPictures:
    """Return `count` pictures of a data set, drawn at random but always the same, repeated if it has fewer.

    Raises:
        InputError: the metadata cannot be used.
    """
    metadata = read_metadata(dataset.metadata)
    there = metadata[metadata["image_id"].isin(dataset.pictures)]
    chosen = there.sample(n=min(count, len(there)), random_state=0)
    rows = np.arange(count) % len(chosen)
    files = pd.DataFrame({"path": chosen["image_id"].map(dataset.pictures), "dx": chosen["dx"]})
    files = files.iloc[rows].reset_index(drop=True)
    labels = files["dx"].map({code: index for index, code in enumerate(CODES)}).to_numpy(np.int64)
    return BenchmarkPictures(files, rows, labels)
