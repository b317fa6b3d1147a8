"""Pictures that show the same thing: the same file twice, and one lesion under two identifiers.

Perceptual hashes alone do not tell: on HAM10000, 322 pairs of pictures of different lesions differ in at most 4 of 64
bits, and of the 40 closest all but one merely show a round spot in the middle. So the hash only proposes pairs, and the
fine detail decides: luminance without what is smoother than 3 pixels of 64, its contrast evened out, correlated at the
best shift of up to 4 pixels. On HAM10000, 98 % of the proposed pairs of one lesion at up to 2 bits pass that, and 5 of
17,492 proposed pairs of two lesions, of which four are one lesion by eye. A turned or mirrored copy is not found.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from PIL import Image
from scipy import fft, ndimage

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.splits.leakage import NEAR_DUPLICATE_BITS, affordable_bits, look_alikes

CANDIDATE_BITS = 10
SAME_DETAIL = 0.85
_SIDE, _SHIFT, _BATCH = 64, 4, 512
# Spectra of pictures that are kept: 17 KB each.
_REMEMBERED = 20_000
_OF_A_PICTURE = ["image_id", "lesion_id", "dx"]


def duplicate_pairs(pictures: pd.DataFrame, arrays: ImageArrays) -> pd.DataFrame:
    """Return pairs of pictures that are the same file, or that show the same detail under two lesion identifiers.

    Pictures of one lesion resemble each other and may; only if they are the same file is one of them useless. Where
    there are so many pictures that their hashes would propose more pairs than can be looked at, fewer bits may differ.

    Args:
        pictures: `image_id`, `lesion_id`, `dx`, `sha256` and `phash`, one row per picture, all of them in `arrays`.
        arrays: Where their pixels are.

    Returns:
        `image_id_a`, `lesion_id_a`, `dx_a`, the same for b, `same_file`, `same_lesion`, `distance` (bits of 64) and
        `detail` (correlation, -1..1); the surest first.
    """
    pictures = pictures.reset_index(drop=True)
    bits = affordable_bits(pictures, CANDIDATE_BITS, NEAR_DUPLICATE_BITS)
    pairs = look_alikes(pictures, bits)
    sha256, lesion = pictures["sha256"].to_numpy(), pictures["lesion_id"].to_numpy()
    a, b = pairs["row_a"].to_numpy(), pairs["row_b"].to_numpy()
    pairs = pairs.assign(same_file=sha256[a] == sha256[b], same_lesion=lesion[a] == lesion[b])
    pairs = pairs[pairs["same_file"] | ~pairs["same_lesion"]].reset_index(drop=True)
    a, b = pairs["row_a"].to_numpy(), pairs["row_b"].to_numpy()
    pairs["detail"] = detail_correlation(arrays, pictures["image_id"].to_numpy(), a, b)
    ends = [
        pictures[_OF_A_PICTURE].iloc[rows].reset_index(drop=True).add_suffix(f"_{end}")
        for end, rows in (("a", a), ("b", b))
    ]
    table = pd.concat([*ends, pairs[["same_file", "same_lesion", "distance", "detail"]]], axis=1)
    table = table[table["same_file"] | (table["detail"] >= SAME_DETAIL)]
    table = table.sort_values(
        ["same_lesion", "same_file", "detail", "image_id_a"], ascending=[True, False, False, True], kind="stable"
    )
    return table.reset_index(drop=True)


def detail_correlation(arrays: ImageArrays, image_ids: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how alike the fine detail of pairs of pictures is: (p,), 1 for the same picture.

    Args:
        arrays: Where the pixels are.
        image_ids: (n,) of the pictures.
        a: (p,) position in `image_ids` of one picture of each pair.
        b: (p,) of the other.
    """
    needed, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    row_of = arrays.rows(image_ids[needed].tolist())
    a, b = np.split(place, 2)

    # A picture is often in several pairs, which follow each other; the spectra of all would not fit the memory.
    @lru_cache(_REMEMBERED)
    def spectrum(picture: int) -> np.ndarray:
        return fft.rfft2(detail(arrays.pixels[int(row_of[picture])])).astype(np.complex64)

    found = np.empty(len(a))
    for start in range(0, len(a), _BATCH):
        batch = slice(start, start + _BATCH)
        first, second = (np.stack([spectrum(int(one)) for one in end[batch]]) for end in (a, b))
        crossed = fft.irfft2(first * second.conj(), s=(_SIDE, _SIDE))
        nearby = np.roll(crossed, (_SHIFT, _SHIFT), axis=(1, 2))[:, : 2 * _SHIFT + 1, : 2 * _SHIFT + 1]
        found[batch] = nearby.max(axis=(1, 2))
    return found


def detail(picture: np.ndarray) -> np.ndarray:
    """Return the fine detail of an (S, S, 3) uint8 picture: (64, 64) float32 of mean 0 and norm 1.

    Local contrast is evened out, else the lesion's edge, which any two round lesions share, decides alone.
    """
    small = Image.fromarray(np.asarray(picture)).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.float32)
    fine = grey - ndimage.gaussian_filter(grey, 3)
    fine /= np.sqrt(ndimage.gaussian_filter(fine * fine, 6)) + 2
    fine *= np.outer(np.hanning(_SIDE), np.hanning(_SIDE)).astype(np.float32)
    fine -= fine.mean()
    return fine / max(float(np.linalg.norm(fine)), 1e-9)
