"""Where the lesion is in each picture, at the model's resolution and cut as the model's pictures are.

The data set's own mask where there is one (HAM10000's: Tschandl et al., Nature Medicine 26, 2020,
doi:10.1038/s41591-020-0942-0), else an estimate.

| file | what |
| --- | --- |
| `masks.npy` | (n, size, size) bool, True inside the lesion |
| `index.parquet` | a row per mask, in the order of `image_arrays`: `image_id`, `sha256` of the picture's file, |
|  | `mask_sha256` of the mask's ("" without one), and `source`: `data set` or `estimated` |
| `format.json` | `size`, and the versions of `preprocessing` and of the `estimate` |
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage
from skimage.filters import threshold_otsu

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, PictureError, decode, model_input
from derma_assets.dataset.stored_rows import StoredRows
from derma_assets.errors import InputError
from derma_assets.in_order import in_order
from derma_assets.progress import progress
from derma_assets.storage.fingerprint import fingerprint_json

MASKS, INDEX, FORMAT = "masks.npy", "index.parquet", "format.json"
GIVEN, ESTIMATED = "data set", "estimated"
# Raise it whenever a change here can change an estimated mask.
ESTIMATE_VERSION = 1
# A grey level of corners that are the dark rim of the lens, not skin.
_RIM = 50
# How fast, in half sides, a pixel's darkness counts less with its distance from the centre.
_REACH = 1.3
_CENTRE = 0.5


@dataclass(frozen=True)
class LesionMasks:
    """Masks read from a folder that `build_lesion_masks` wrote.

    Attributes:
        masks: (n, size, size) bool, read from the file as it is indexed.
        index: `image_id`, `sha256`, `mask_sha256` and `source`, one row per row of `masks`.
        preprocessing: Version of the preprocessing that cut them.
        estimate: Version of the estimate.
    """

    masks: StoredRows
    index: pd.DataFrame
    preprocessing: int
    estimate: int

    @classmethod
    def open(cls, folder: Path) -> "LesionMasks":
        """Open a folder without reading its masks.

        Raises:
            InputError: the folder is missing or its files do not belong together.
        """
        folder = Path(folder)
        try:
            masks = StoredRows([folder / MASKS])
            index = pd.read_parquet(folder / INDEX)
            described = json.loads((folder / FORMAT).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} holds no usable lesion masks ({error}); materialize lesion_masks") from error
        if len(index) != len(masks) or masks.shape[1] != described["size"]:
            raise InputError(f"the files in {folder} do not belong together; materialize lesion_masks again")
        return cls(masks, index, described["preprocessing"], described["estimate"])

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the content: size, versions, and which files each mask is made of."""
        rows = self.index.to_numpy().tolist()
        return fingerprint_json([int(self.masks.shape[1]), self.preprocessing, self.estimate, rows])

    def of(self, image_ids: list[str]) -> StoredRows:
        """Return the masks of pictures, (m, size, size) bool.

        Raises:
            InputError: a picture has none; the message names it.
        """
        found = pd.Index(self.index["image_id"]).get_indexer(pd.Index(image_ids))
        if (found < 0).any():
            raise InputError(
                f"{int((found < 0).sum())} of {len(image_ids)} pictures have no mask, the first is "
                f"{image_ids[int((found < 0).argmax())]}: materialize lesion_masks again"
            )
        return self.masks.at(found)

    def shares(self) -> np.ndarray:
        """Return the share of each picture that is inside the lesion: (n,), 0 where the mask is empty."""
        batches = [masks.mean(axis=(1, 2)) for masks in self.masks.batches()]
        return np.concatenate([*batches, np.empty(0)])


@dataclass(frozen=True)
class MaskCounts:
    """How many masks were made anew, and how many were copied from an earlier version."""

    made: int
    reused: int


def build_lesion_masks(
    arrays: ImageArrays, files: Mapping[str, Path], folder: Path, previous: Path | None
) -> MaskCounts:
    """Write the mask of every picture of `arrays` to the new folder `folder`.

    Args:
        arrays: The pictures.
        files: The data set's masks by `image_id`, each of the size of its picture's file; bright means lesion.
        folder: Folder to make.
        previous: Folder of an earlier version; its mask is copied where picture, mask and versions are the same.

    Raises:
        InputError: a mask cannot be read; the message names it.
    """
    image_ids, digests = arrays.image_ids, arrays.index["sha256"].tolist()
    earlier, known = _reusable(previous, arrays)

    def mask_of(row: int) -> tuple[np.ndarray, str, bool]:
        file = files.get(image_ids[row])
        content = _read(file) if file else b""
        digest = hashlib.sha256(content).hexdigest() if file else ""
        key = (image_ids[row], digests[row], digest)
        if earlier is not None and key in known:
            return earlier.masks[known[key]], digest, True
        mask = cut_mask(content, arrays.size, file) if file else estimated_mask(arrays.pixels[row])
        return mask, digest, False

    folder.mkdir(parents=True)
    mask_digests, reused = [], 0
    with (folder / MASKS).open("wb") as out:
        # Written in order by plain writes, as image_arrays are: a full disk is then an error that can be explained.
        described = {"descr": "|b1", "fortran_order": False, "shape": (len(image_ids), arrays.size, arrays.size)}
        np.lib.format.write_array_header_1_0(out, described)
        for mask, digest, copied in in_order(mask_of, range(len(image_ids)), "lesion masks"):
            out.write(np.ascontiguousarray(mask).tobytes())
            mask_digests.append(digest)
            reused += copied
    index = arrays.index[["image_id", "sha256"]].assign(mask_sha256=mask_digests)
    index["source"] = np.where(index["mask_sha256"] == "", ESTIMATED, GIVEN)
    index.to_parquet(folder / INDEX)
    versions = {"size": arrays.size, "preprocessing": PREPROCESSING_VERSION, "estimate": ESTIMATE_VERSION}
    (folder / FORMAT).write_text(json.dumps(versions) + "\n")
    return MaskCounts(made=len(image_ids) - reused, reused=reused)


def masks_fingerprint(files: Mapping[str, Path]) -> str:
    """Return the fingerprint of the data set's masks, as `files` of `build_lesion_masks`: which pictures, which bytes.

    Raises:
        InputError: a mask cannot be read; the message names it.
    """
    digests = in_order(lambda file: hashlib.sha256(_read(file)).hexdigest(), [*files.values()], "lesion masks read")
    return fingerprint_json(dict(zip(files, digests, strict=True)))


def cut_mask(content: bytes, size: int, file: Path | None = None) -> np.ndarray:
    """Return a mask file's (size, size) bool pixels, cut and scaled exactly as its picture is for the model.

    A pixel is inside if at least half of what it covers is.

    Args:
        content: Of a picture whose bright pixels are the lesion.
        size: Side in pixels.
        file: Where it was read from, for the message.

    Raises:
        InputError: it is no picture that can be decoded.
    """
    try:
        return model_input(decode(content), size)[..., 0] >= 128
    except PictureError as error:
        raise InputError(f"the lesion mask {file or ''} cannot be read ({error}): unpack it again") from error


def estimated_mask(picture: np.ndarray) -> np.ndarray:
    """Return where the lesion of one picture probably is, from its pixels alone.

    Otsu's threshold (1979) on the darkness of the blue channel, in which melanin and blood are both dark, after hair
    is closed and noise smoothed; darkness counts less far from the centre, and the lens's rim not at all. Of the
    parts found the one that lies most in the centre is taken, its holes filled. Choice of channel and reach: the best
    mean Dice coefficient against HAM10000's masks among five channels, on 400 training lesions. That a lesion is there
    is taken for granted: of bare skin the middle is returned.

    Args:
        picture: (S, S, 3) uint8.

    Returns:
        (S, S) bool; all False where all pixels are alike.
    """
    size = len(picture)
    near = _near_centre(size)
    blue = scipy.ndimage.grey_closing(picture[..., 2], size=2 * max(1, round(size / 64)) + 1)
    darkness = 255 - scipy.ndimage.gaussian_filter(blue.astype(np.float32), size / 85)
    rim = lens_rim(picture)
    if rim.all() or np.ptp(darkness[~rim]) < 1:
        return np.zeros((size, size), dtype=bool)
    darkness = darkness * np.exp(np.log(near) * (_CENTRE / _REACH) ** 2)
    found = (darkness > threshold_otsu(darkness[~rim])) & ~rim
    parts, count = scipy.ndimage.label(scipy.ndimage.binary_opening(found))
    if count == 0:
        return np.zeros((size, size), dtype=bool)
    central = scipy.ndimage.sum_labels(near, parts, np.arange(1, count + 1))
    closing = max(1, round(size / 43))
    # The margin keeps the closing from eroding what touches the picture's edge.
    lesion = np.pad(parts == 1 + int(central.argmax()), closing)
    lesion = scipy.ndimage.binary_closing(lesion, iterations=closing)[closing:-closing, closing:-closing]
    return scipy.ndimage.binary_dilation(scipy.ndimage.binary_fill_holes(lesion))


def lens_rim(picture: np.ndarray) -> np.ndarray:
    """Return (S, S) bool, which pixels of an (S, S, 3) uint8 picture are a dark corner: the rim of the lens."""
    size = len(picture)
    parts, _ = scipy.ndimage.label(picture.mean(axis=2) < _RIM)
    corners = np.unique(parts[[0, 0, -1, -1], [0, -1, 0, -1]])
    rim = np.isin(parts, corners[corners > 0])
    return scipy.ndimage.binary_dilation(rim, iterations=max(1, size // 32)) if rim.any() else rim


def dice(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the Dice coefficients, 0..1, of n pairs of masks, each (n, S, S) bool; of two empty masks 1."""
    both, sizes = (one & other).sum(axis=(1, 2)), one.sum(axis=(1, 2)) + other.sum(axis=(1, 2))
    return np.divide(2 * both, sizes, out=np.ones(len(one)), where=sizes > 0)


def estimate_agreement(arrays: ImageArrays, masks: LesionMasks, lesions: pd.Series, pictures: int) -> pd.DataFrame:
    """Estimate masks where the data set has some and return how well the two agree, each lesion with one picture.

    Args:
        arrays: The pictures.
        masks: Of the same pictures, in the same order.
        lesions: `lesion_id` by `image_id`.
        pictures: How many to look at, taken evenly.

    Returns:
        Columns `row`, `image_id`, `dice` and `iou` (intersection over union); empty if no picture has a mask.
    """
    given = masks.index[masks.index["source"] == GIVEN]
    of_lesion = given.assign(lesion_id=given["image_id"].map(lesions), row=given.index).drop_duplicates("lesion_id")
    chosen = of_lesion.iloc[np.linspace(0, len(of_lesion) - 1, min(pictures, len(of_lesion))).astype(int)]
    rows = chosen["row"].to_numpy(dtype=np.int64)
    if not len(rows):
        return pd.DataFrame(columns=["row", "image_id", "dice", "iou"])
    estimates = np.stack([estimated_mask(arrays.pixels[row]) for row in progress(rows, "estimated masks compared")])
    coefficient = dice(estimates, masks.masks[rows])
    return pd.DataFrame(
        {
            "row": rows,
            "image_id": chosen["image_id"].to_numpy(),
            "dice": coefficient,
            "iou": coefficient / (2 - coefficient),
        }
    )


def agreement_summary(agreement: pd.DataFrame) -> dict[str, float | int]:
    """Return the means of `estimate_agreement` with their 95 % intervals, by name.

    The lesions are different ones, so the interval is the mean's own: 1.96 standard errors each way.
    """
    summary: dict[str, float | int] = {"compared_lesions": len(agreement)}
    for name in ("dice", "iou") if len(agreement) else ():
        values = agreement[name].to_numpy(dtype=np.float64)
        mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
        summary |= {name: mean, f"{name}_low": mean - 1.96 * error, f"{name}_high": mean + 1.96 * error}
    if len(agreement):
        summary["dice_below_half"] = float((agreement["dice"] < 0.5).mean())
    return summary


def _near_centre(size: int) -> np.ndarray:
    """Return (size, size) weights that fall off from the centre, a Gaussian of half a half side."""
    away = (np.arange(size) + 0.5) / (size / 2) - 1
    return np.exp(-(away[:, None] ** 2 + away**2) / (2 * _CENTRE**2))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"the lesion mask {file} cannot be read ({error.strerror}): unpack it again") from error


def _reusable(previous: Path | None, arrays: ImageArrays) -> tuple[LesionMasks | None, dict[tuple[str, str, str], int]]:
    """Return an earlier version and the row of each of its masks, if they are as they would be now."""
    if previous is None or not previous.exists():
        return None, {}
    try:
        earlier = LesionMasks.open(previous)
    except InputError:
        return None, {}
    versions = (earlier.masks.shape[1], earlier.preprocessing, earlier.estimate)
    if versions != (arrays.size, arrays.preprocessing, ESTIMATE_VERSION):
        return None, {}
    rows = earlier.index[["image_id", "sha256", "mask_sha256"]].itertuples(index=False, name=None)
    return earlier, {key: row for row, key in enumerate(rows)}
