"""A batch of new pictures of the embedded sample's kind, to see what the graph does when some arrive.

`python -m derma_assets.dataset.sample_batch`, or `make new-pictures`. Nothing in it is real either.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from derma_assets.dataset.incoming import METADATA
from derma_assets.dataset.sample import sample_metadata
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError, told_to_the_user
from derma_assets.progress import progress
from derma_assets.settings import settings
from derma_assets.storage.atomic import explained

_NAME = "batch-{:04d}"
# Identifiers of batch k begin at 90000 + 1000 k: the sample's own are below 91000.
_FIRST, _EACH = 90000, 1000


def batch_metadata(seed: int, number: int, lesions: int) -> pd.DataFrame:
    """Return the metadata of a batch: the sample's columns and mix of diagnoses, lesions that are nowhere else.

    Args:
        seed: The sample's.
        number: Of the batch, from 1; another number gives other lesions.
        lesions: How many; some have several pictures.

    Raises:
        InputError: there are not so many in a batch.
    """
    whole = sample_metadata(seed + _EACH * number)
    names = whole["lesion_id"].drop_duplicates()
    if not 1 <= lesions <= len(names):
        raise InputError(f"a batch has 1 to {len(names)} lesions, not {lesions}: write several batches for more.")
    table = whole[whole["lesion_id"].isin(names.iloc[:lesions])].reset_index(drop=True)
    first = _FIRST + _EACH * number
    table["lesion_id"] = [f"HAM_{first + code:07d}" for code in pd.factorize(table["lesion_id"])[0]]
    table["image_id"] = [f"ISIC_{first + row:07d}" for row in range(len(table))]
    return table


def mislabelled(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return the metadata as if the diagnoses had been kept as numbers and read back counting from 1 instead of 0."""
    off_by_one = dict(zip(CODES, [CODES[-1], *CODES[:-1]], strict=True))
    return metadata.assign(dx=metadata["dx"].map(off_by_one))


def write_batch(incoming: Path, seed: int, lesions: int, wrong_labels: bool = False) -> Path:
    """Write the next batch below `incoming`, its table first, and return its folder.

    Args:
        incoming: Folder of the batches.
        seed: The sample's.
        lesions: How many.
        wrong_labels: Whether the table is `mislabelled`.

    Raises:
        InputError: a batch cannot have so many lesions.
        StorageError: it cannot be written.
    """
    number = 1 + max(_numbers(incoming), default=0)
    table = batch_metadata(seed, number, lesions)
    folder = incoming / _NAME.format(number)
    with explained(folder):
        folder.mkdir(parents=True)
        (mislabelled(table) if wrong_labels else table).to_csv(folder / METADATA, index=False)
        for row in progress(table.itertuples(), "new pictures", total=len(table)):
            lesion, picture = int(str(row.lesion_id)[-7:]), int(str(row.image_id)[-7:])
            drawn = draw_picture(str(row.dx), _FIRST + lesion, _FIRST + picture)
            drawn.save(folder / f"{row.image_id}.jpg", quality=90)
    return folder


def _numbers(incoming: Path) -> list[int]:
    found = (re.fullmatch(r"batch-(\d{4})", path.name) for path in incoming.glob("batch-*"))
    return [int(match[1]) for match in found if match]


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.dataset.sample_batch", description=__doc__)
    parser.add_argument("--lesions", type=int, default=60, help="how many lesions, default 60")
    parser.add_argument("--mislabelled", action="store_true", help="each diagnosis off by one in the list of codes")
    chosen = parser.parse_args(arguments)
    of = settings()
    if not of.is_synthetic:
        raise InputError(
            f"these pictures are drawn, and the chosen data set is {of.dataset}: set DERMA_DATASET=sample."
        )
    folder = write_batch(of.incoming, of.seed, chosen.lesions, chosen.mislabelled)
    wrong = ", each diagnosis off by one in the list of codes" if chosen.mislabelled else ""
    print(f"{folder}: {chosen.lesions} new lesions{wrong}.")


if __name__ == "__main__":
    sys.exit(main())
