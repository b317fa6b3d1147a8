"""What lies over or around the skin in a picture: dark hair, the tick marks of a scale, dark corners, blue ink.

Heuristics on the whole picture (not on the square that the model sees), scaled so that its shorter side has 150 pixels.
Their constants were chosen by eye on HAM10000; they say where to look, not what is true. Of 48 random pictures found
with each, 45 had hair, about 45 a scale, and 48 dark corners; of all 12 with ink, 10. Of 64 without any finding, 6 had
short, few or light hairs, and 2 or 3 the marks of a scale.

- Hair: a morphological closing fills dark structures that are narrower than 5 pixels, as in DullRazor (Lee et al.,
  Computers in Biology and Medicine 27, 1997), and what it adds (the black-hat) is hair, pigment network or dots.
  Hair is what remains of it under an opening by straight lines of 15 pixels, in any of 12 directions. Light hair and
  stubble are not found.
- Scale: the black-hat's blobs that are as short and narrow as a tick mark, near the border. Marks of a scale are
  parallel and stand at equal distances; hairs, stubble and network are not, but where there are many, three may be by
  chance, so that short rows count only where few other blobs are.
- Dark corners: of the field of view of a dermatoscope, or of a lens. What is darker than 35 % of the skin (the 75th
  percentile) and connected with a corner.
- Ink: what is bluer than skin and lesions are, in the outer sixth of the picture and more there than inside, where a
  blue naevus would be.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, PictureError, decode, to_rgb
from derma_assets.errors import InputError
from derma_assets.in_order import in_order

SHORTER_SIDE = 150
# Raise it whenever a change here can change a number: rows made by another version are then measured again.
ARTEFACTS_VERSION = f"1-{PREPROCESSING_VERSION}"

# From which value on a picture is said to have the artefact.
HAIR_SHARE = 0.006
TICK_MARKS = 3
DARK_CORNER_SHARE, DARK_CORNERS = 0.01, 2
INK_SHARE = 0.005

_HAIR_WIDTH, _HAIR_LENGTH, _HAIR_DIRECTIONS, _HAIR_DEPTH = 5, 15, 12, 15
_TICK_WIDTH = 7
# Ticks are printed black or engraved finely; joined with the texture around them, one threshold finds only one kind.
_TICK_DEPTHS = (45, 20)
_TICK_SPACING = (4.5, 25.0)
_TICK_TURN = np.radians(15)
# A row of 3, 4, 5 or more marks counts among at most so many other blobs.
_STRAY_BLOBS = {3: 5, 4: 16}
_MOST_STRAY_BLOBS = 50


@dataclass(frozen=True)
class Artefacts:
    """What was measured on one picture.

    Attributes:
        hair_share: Share of the picture that is dark hair; thin hairs count as somewhat wider than they are.
        tick_marks: Marks in the longest row of a scale; 0 if there is none of at least three.
        dark_corner_share: Share of the picture that is dark and connected with a corner.
        dark_corner_count: How many corners are dark, 0..4.
        ink_share: Share of the picture's outer sixth that is blue ink.
    """

    hair_share: float
    tick_marks: int
    dark_corner_share: float
    dark_corner_count: int
    ink_share: float


def measure_artefacts(picture: Image.Image) -> Artefacts:
    """Measure one picture in 8-bit RGB; one that is smaller than 150 pixels is enlarged."""
    scale = SHORTER_SIDE / min(picture.size)
    if scale != 1:
        size = (max(SHORTER_SIDE, round(picture.width * scale)), max(SHORTER_SIDE, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    rgb = np.asarray(picture)
    grey = np.asarray(picture.convert("L"))
    corner_share, corners = dark_corners(grey)
    return Artefacts(hair_share(grey), tick_marks(grey), corner_share, corners, ink_share(rgb))


def hair_share(grey: np.ndarray) -> float:
    """Return the share of (h, w) uint8 luminance that is dark hair."""
    return float((_linear(_black_hat(grey, _HAIR_WIDTH)) > _HAIR_DEPTH).mean())


def dark_corners(grey: np.ndarray) -> tuple[float, int]:
    """Return the share of (h, w) uint8 luminance that is dark up to a corner, and the number of dark corners."""
    parts, _ = ndimage.label(grey < 0.35 * np.percentile(grey, 75))
    at_corner = parts[[0, 0, -1, -1], [0, -1, 0, -1]]
    return float(np.isin(parts, at_corner[at_corner > 0]).mean()), int((at_corner > 0).sum())


def ink_share(rgb: np.ndarray) -> float:
    """Return the share of the outer sixth of (h, w, 3) uint8 RGB that is blue ink; 0 if the inside has more of it."""
    red, green, blue = np.moveaxis(rgb.astype(np.int16), -1, 0)
    ink = (blue - red > 50) & (blue - green > 20)
    height, width = ink.shape
    inside = np.zeros(ink.shape, dtype=bool)
    inside[height // 6 : height - height // 6, width // 6 : width - width // 6] = True
    outer = float(ink[~inside].mean())
    return outer if outer > ink[inside].mean() else 0.0


def tick_marks(grey: np.ndarray) -> int:
    """Return the number of tick marks in the longest row of a scale on (h, w) uint8 luminance, 0 if below three."""
    black_hat = _black_hat(grey, _TICK_WIDTH)
    best = 0
    for depth in _TICK_DEPTHS:
        blobs = _tick_like(black_hat, depth)
        if len(blobs) < TICK_MARKS or len(blobs) > 2 * _MOST_STRAY_BLOBS:
            continue
        row = _longest_row(blobs)
        if row >= TICK_MARKS and len(blobs) - row <= _STRAY_BLOBS.get(row, _MOST_STRAY_BLOBS):
            best = max(best, row)
    return best


def artefacts_table(manifest: pd.DataFrame, previous: pd.DataFrame | None) -> tuple[pd.DataFrame, int]:
    """Measure every readable picture of a manifest, with all cores.

    Args:
        manifest: The table `raw_images`.
        previous: An earlier table of this function; a file of the same content is not measured again.

    Returns:
        One row per readable picture, `image_id`, `sha256`, the fields of `Artefacts` and `measured_by` (version), and
        how many were measured.

    Raises:
        InputError: no picture is readable, or one has changed since the manifest was made.
    """
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "path"]]
    if readable.empty:
        raise InputError("none of the pictures can be read: look at the table raw_images for what is wrong with each")
    known = _known(previous)

    def measure(item: tuple[str, str]) -> Artefacts:
        digest, path = item
        return known[digest] if digest in known else _measure_unchanged(Path(path), digest)

    items = list(zip(readable["sha256"], readable["path"], strict=True))
    rows = [asdict(one) for one in in_order(measure, items, "artefacts")]
    table = pd.concat([readable[["image_id", "sha256"]].reset_index(drop=True), pd.DataFrame(rows)], axis=1)
    measured = sum(digest not in known for digest, _ in items)
    return table.assign(measured_by=ARTEFACTS_VERSION), measured


def artefact_flags(table: pd.DataFrame) -> pd.DataFrame:
    """Return which pictures have which artefact: bool columns `hair`, `scale`, `dark_corners` and `ink`.

    Args:
        table: With the columns of `Artefacts`.
    """
    return pd.DataFrame(
        {
            "hair": table["hair_share"] >= HAIR_SHARE,
            "scale": table["tick_marks"] >= TICK_MARKS,
            "dark_corners": table["dark_corner_share"].ge(DARK_CORNER_SHARE)
            & table["dark_corner_count"].ge(DARK_CORNERS),
            "ink": table["ink_share"] >= INK_SHARE,
        }
    )


def _black_hat(grey: np.ndarray, size: int) -> np.ndarray:
    """Return by how much a closing by a square brightens: what is dark and narrower than `size`."""
    return ndimage.grey_closing(grey, size=(size, size)) - grey


def _lines() -> list[np.ndarray]:
    """Return the pixels of a line in each direction, as (m, 2) offsets from its middle."""
    along = np.arange(_HAIR_LENGTH) - (_HAIR_LENGTH - 1) / 2
    turns = np.pi * np.arange(_HAIR_DIRECTIONS) / _HAIR_DIRECTIONS
    return [
        np.unique(np.rint(np.stack([along * np.sin(turn), along * np.cos(turn)], axis=1)).astype(int), axis=0)
        for turn in turns
    ]


_LINES = _lines()


def _linear(values: np.ndarray) -> np.ndarray:
    """Return the largest of the openings of (h, w) uint8 by the lines: what is not as long in any direction goes."""
    best = np.zeros_like(values)
    for line in _LINES:
        eroded = _over(values, line, np.minimum, 255)
        np.maximum(best, _over(eroded, -line, np.maximum, 0), out=best)
    return best


def _over(values: np.ndarray, offsets: np.ndarray, pick: np.ufunc, outside: int) -> np.ndarray:
    """Return the minimum or maximum over shifted copies; on 8 bits far faster than SciPy's filters with a footprint."""
    height, width = values.shape
    reach = _HAIR_LENGTH // 2 + 1
    padded = np.pad(values, reach, constant_values=outside)
    shifted = [padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width] for dy, dx in offsets]
    result = shifted[0].copy()
    for one in shifted[1:]:
        pick(result, one, out=result)
    return result


def _tick_like(black_hat: np.ndarray, depth: int) -> np.ndarray:
    """Return the blobs that could be tick marks: (m, 4) of middle row and column, direction (rad) and length."""
    parts, count = ndimage.label(black_hat > depth, structure=np.ones((3, 3)))
    if count == 0:
        return np.empty((0, 4))
    y, x = np.nonzero(parts)
    part, weight = parts[y, x] - 1, black_hat[y, x].astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(part, weight * values, count) / total

    total = np.bincount(part, weight, count)
    middle_y, middle_x = mean(y), mean(x)
    dy, dx = y - middle_y[part], x - middle_x[part]
    # Second moments, each pixel a square of side 1; an even bar of length l has the variance l^2 / 12.
    yy, xx, xy = mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12, mean(dx * dy)
    half, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    length, width = np.sqrt(12 * (half + spread)), np.sqrt(12 * np.maximum(half - spread, 1 / 12))
    height, across = black_hat.shape
    to_edge = np.minimum.reduce(
        [middle_y / height, (height - 1 - middle_y) / height, middle_x / across, (across - 1 - middle_x) / across]
    )
    like = (length >= 3.5) & (length <= 20) & (width <= 4.5) & (length >= 1.6 * width) & (to_edge < 0.35)
    return np.stack([middle_y, middle_x, 0.5 * np.arctan2(2 * xy, xx - yy), length], axis=1)[like]


def _longest_row(blobs: np.ndarray) -> int:
    """Return how many blobs are in the longest row of parallel ones side by side at equal distances."""
    direction, length = blobs[:, 2], blobs[:, 3]
    between = blobs[None, :, :2] - blobs[:, None, :2]
    sin, cos = np.sin(direction)[:, None], np.cos(direction)[:, None]
    # Seen from each blob: how far the others lie along its direction, and across it.
    along = np.abs(between[..., 0] * sin + between[..., 1] * cos)
    across = between[..., 0] * cos - between[..., 1] * sin
    parallel = np.abs((direction[None] - direction[:, None] + np.pi / 2) % np.pi - np.pi / 2) < _TICK_TURN
    # Every fifth or tenth mark of a scale is longer, often to one side only.
    beside = along <= np.minimum(0.6 * np.maximum(length[:, None], length[None]) + 1, 0.9 * np.abs(across))
    near = (np.abs(across) >= _TICK_SPACING[0]) & (np.abs(across) <= _TICK_SPACING[1])
    next_to = parallel & beside & near
    longest = 1
    for first in range(len(blobs)):
        for second in np.nonzero(next_to[first])[0]:
            longest = max(longest, _row_length(first, int(second), across[first], next_to, parallel[first]))
    return longest


def _row_length(first: int, second: int, across: np.ndarray, next_to: np.ndarray, parallel: np.ndarray) -> int:
    """Return the length of the row that starts with two blobs, going on at their distance as long as there is one."""
    row, last, step = [first, second], second, float(across[second])
    while True:
        miss = np.abs(across - across[last] - step)
        miss[~(next_to[last] & parallel)] = np.inf
        miss[row] = np.inf
        following = int(miss.argmin())
        if miss[following] > max(1.0, 0.1 * abs(step)):
            return len(row)
        row.append(following)
        last = following
        step = float(across[last]) / (len(row) - 1)


def _known(previous: pd.DataFrame | None) -> dict[str, Artefacts]:
    """Return what an earlier table knows, by the SHA-256 of the file; nothing of another version of this module."""
    fields = list(Artefacts.__dataclass_fields__)
    if previous is None or not {"sha256", "measured_by", *fields} <= set(previous):
        return {}
    current = previous[previous["measured_by"] == ARTEFACTS_VERSION]
    values = current[fields].itertuples(index=False, name=None)
    return {digest: Artefacts(*of_file) for digest, of_file in zip(current["sha256"], values, strict=True)}


def _measure_unchanged(path: Path, digest: str) -> Artefacts:
    """Measure the file `path`, provided that its SHA-256 is still `digest`."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == digest:
            return measure_artefacts(to_rgb(decode(content)))
        problem = "has changed"
    except (OSError, PictureError) as error:
        problem = f"can no longer be read ({error})"
    raise InputError(f"{path} {problem} since raw_images was made: materialize raw_images again")
