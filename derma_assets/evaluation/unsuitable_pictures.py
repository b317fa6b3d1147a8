"""Pictures that the model was not made for, of eight kinds, to see whether they are refused.

Four kinds are made of good pictures, as a hurried person would spoil them; the others show something else. The
photographs ship with scikit-learn and scikit-image, so nothing is downloaded. They are few: how many crops of one
cat are refused says little about other cats, so the kinds are to be read as samples of what goes wrong.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.ndimage
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from derma_assets.dataset.preprocessing import model_input

# Standard deviation of the blur as a share of the side: border, network and colours of a lesion run together.
BLUR = 0.04
# At most this share of the light: the sensor's noise is as strong as what is left of the lesion.
DARK = (0.03, 0.15)
# So many times the light: healthy skin is white, and of the lesion only its darkest parts are left.
BRIGHT = (3.0, 6.0)
# Side of the patch of skin that is enlarged, as a share of the picture's.
PATCH = 0.25

_WORDS = (
    "patient",
    "name",
    "date",
    "of",
    "birth",
    "next",
    "visit",
    "dose",
    "daily",
    "result",
    "normal",
    "total",
    "file",
)


def blurred(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the pictures out of focus: a Gaussian blur of `BLUR` of the side (5 px at 128 px)."""
    sigma = BLUR * good.shape[1]
    return np.stack([scipy.ndimage.gaussian_filter(picture, (sigma, sigma, 0)) for picture in good])


def dark(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the pictures with 3 to 15 % of their light, and the sensor's noise (2 grey levels)."""
    noise = draw.normal(0, 2, good.shape)
    light = draw.uniform(*DARK, len(good))
    return np.stack(
        [_pixels(picture * share + grain) for picture, share, grain in zip(good, light, noise, strict=True)]
    )


def bright(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the pictures overexposed three to six times."""
    light = draw.uniform(*BRIGHT, len(good))
    return np.stack([_pixels(picture * share) for picture, share in zip(good, light, strict=True)])


def bare_skin(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return skin without a lesion: of each picture the calmest corner that is not darker than the rest, enlarged.

    Enlarging blurs, so grain as strong as the patch's own is laid over it: it is not to be refused for blur alone.
    Where a lesion reaches into all corners, or they are dark, the patch is not bare skin, and is there all the same.
    """
    side = round(PATCH * good.shape[1])
    patches = []
    for picture in good:
        corners = [picture[y, x] for y in _ends(side) for x in _ends(side)]
        lit = [corner for corner in corners if corner.mean() >= picture.mean()] or corners
        patch = min(lit, key=lambda corner: corner.astype(np.float64).var(axis=(0, 1)).sum()).astype(np.float64)
        smooth = scipy.ndimage.gaussian_filter(patch, (2, 2, 0), mode="reflect")
        enlarged = np.asarray(Image.fromarray(_pixels(smooth)).resize(good.shape[1:3], Image.Resampling.BICUBIC))
        grain = draw.normal(0, (patch - smooth).mean(axis=2).std(), (*good.shape[1:3], 1))
        patches.append(_pixels(enlarged + grain))
    return np.stack(patches)


def noise(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return as many pictures of noise, grey or coloured, from single pixels to clouds of a quarter of the side."""
    size = good.shape[1]
    made = []
    for _ in good:
        cells = int(draw.choice([4, 8, 16, 32, size]))
        lattice = draw.integers(0, 256, (cells, cells, int(draw.choice([1, 3]))), dtype=np.uint8)
        lattice = np.broadcast_to(lattice, (cells, cells, 3)).copy()
        made.append(np.asarray(Image.fromarray(lattice).resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(made)


def text(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return as many pictures of text: crops of a scanned page and of a photographed one, and drawn screens."""
    scans = [_grey(skimage.data.page()), _grey(skimage.data.text())]
    size = good.shape[1]
    return np.stack([_crop(scans[n % 2], size, draw) if n % 4 < 2 else _screen(size, draw) for n in range(len(good))])


def landscape(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return as many crops of photographs: temple, flower, rocket, motorcycle, cup of coffee, grass, gravel, bricks."""
    return np.stack([_crop(_photographs()[n % len(_photographs())], good.shape[1], draw) for n in range(len(good))])


def cat(good: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return as many crops of a photograph of a cat."""
    photograph = Image.fromarray(skimage.data.chelsea())
    return np.stack([_crop(photograph, good.shape[1], draw) for _ in good])


# From (n, S, S, 3) uint8 good pictures, and a source of chance, to as many bad ones of the same shape.
KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "blurred": blurred,
    "dark": dark,
    "bright": bright,
    "noise": noise,
    "text": text,
    "landscape": landscape,
    "cat": cat,
    "bare_skin": bare_skin,
}
# Those made of the good pictures, one of each: two of one lesion are not independent.
OF_LESIONS = ("blurred", "dark", "bright", "bare_skin")


def unsuitable_pictures(kind: str, good: np.ndarray, seed: int, part: int = 0) -> np.ndarray:
    """Return as many pictures of one kind as there are good ones; the same arguments give the same pictures.

    Args:
        kind: One of `KINDS`.
        good: (n, S, S, 3) uint8 pictures that the model was made for, n at least 1.
        seed: Not negative.
        part: Number of the part, if the good pictures are a part of more: each has a chance of its own.

    Returns:
        (n, S, S, 3) uint8.
    """
    draw = np.random.default_rng([seed, list(KINDS).index(kind), *([part] if part else [])])
    return KINDS[kind](good, draw)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _grey(scan: np.ndarray) -> Image.Image:
    return Image.fromarray(scan).convert("RGB")


@cache
def _photographs() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_image

    in_colour = [
        load_sample_image("china.jpg"),
        load_sample_image("flower.jpg"),
        skimage.data.rocket(),
        skimage.data.stereo_motorcycle()[0],
        skimage.data.coffee(),
    ]
    in_grey = [skimage.data.grass(), skimage.data.gravel(), skimage.data.brick()]
    return (*(Image.fromarray(photograph) for photograph in in_colour), *(_grey(photograph) for photograph in in_grey))


def _crop(photograph: Image.Image, size: int, draw: np.random.Generator) -> np.ndarray:
    """Return a random square of half to all of the shorter side, mirrored or not, as the model would see it."""
    side = int(min(photograph.size) * draw.uniform(0.5, 1.0))
    left, top = (int(draw.integers(0, room - side + 1)) for room in photograph.size)
    square = np.asarray(photograph.crop((left, top, left + side, top + side)))
    return model_input(Image.fromarray(square[:, ::-1] if draw.random() < 0.5 else square), size)


def _screen(size: int, draw: np.random.Generator) -> np.ndarray:
    """Return lines of words, dark on light or light on dark in any hue, below a bar, as on a phone or a monitor."""
    side = 2 * size
    light = tuple(int(level) for level in draw.integers(200, 256, 3))
    deep = tuple(int(level) for level in draw.integers(0, 110, 3))
    paper, ink = (light, deep) if draw.random() < 0.7 else (deep, light)
    screen = Image.new("RGB", (side, side), paper)
    pen = ImageDraw.Draw(screen)
    height = int(side * draw.uniform(0.03, 0.12))
    font = ImageFont.load_default(height)
    pen.rectangle((0, 0, side, 2 * height), fill=tuple(int(level) for level in draw.integers(0, 256, 3)))
    for top in range(3 * height, side, round(1.5 * height)):
        pen.text((height, top), " ".join(draw.choice(_WORDS, 12)), fill=ink, font=font)
    return model_input(screen, size)
