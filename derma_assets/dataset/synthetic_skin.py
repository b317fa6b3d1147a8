"""Drawing dermatoscope-like pictures of seven kinds of lesion from nothing but random numbers.

Light passes through the skin twice, so pigment and blood multiply the skin's colour (`_absorb`), while scale,
scars and veils lie over it (`_cover`). What tells the kinds apart follows the criteria that dermatoscopy teaches
(network, blotches, milia-like cysts, arborising vessels, central white patch, lacunae); nothing here is a real lesion.

Coordinates: x right, y down, the picture's half height is 1. A lesion has its own coordinates (u, v), so that its
pictures show the same lesion turned, shifted, nearer or farther.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.special
from PIL import Image, ImageDraw

from derma_assets.diagnoses import CODES

WIDTH, HEIGHT = 240, 180
_OVERSAMPLING = 2  # lines are drawn this many times larger, then averaged: Pillow's lines have no antialiasing
_MELANIN = np.array([0.68, 0.49, 0.37], np.float32)
_DEEP_MELANIN = np.array([0.50, 0.52, 0.62], np.float32)  # seen through the skin, melanin turns blue-grey
_BLOOD = np.array([0.86, 0.40, 0.44], np.float32)
_PURPLE_BLOOD = np.array([0.76, 0.24, 0.48], np.float32)
_THREE_WAYS = tuple((float(np.cos(turn)), float(np.sin(turn))) for turn in (0, np.pi / 3, 2 * np.pi / 3))
_SKIN = np.array([(238, 205, 190), (228, 180, 165), (224, 172, 178), (214, 158, 128), (186, 132, 104)], np.float32)


@dataclass(frozen=True)
class Canvas:
    """A lesion's coordinates in one picture.

    Attributes:
        u, v: (HEIGHT, WIDTH) float32, coordinates of each pixel in the lesion's own frame.
        angle, scale, shift: How the lesion's frame lies in the picture.
    """

    u: np.ndarray
    v: np.ndarray
    angle: float
    scale: float
    shift: tuple[float, float]

    def pixels(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Return where (n, 2) points of the lesion are in the picture, in oversampled pixels."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = points @ np.array([[cos, sin], [-sin, cos]]) * self.scale + np.array(self.shift)
        half = HEIGHT / 2
        placed = (turned * half + np.array([WIDTH / 2, half])) * _OVERSAMPLING
        return [(float(x), float(y)) for x, y in placed]


def draw_picture(code: str, lesion_seed: int, picture_seed: int) -> Image.Image:
    """Return one picture, WIDTH x HEIGHT in RGB, of the lesion `lesion_seed` of kind `code`.

    The same arguments give the same picture; the same lesion with another `picture_seed` is seen from elsewhere.
    """
    lesion, view = np.random.default_rng(lesion_seed), np.random.default_rng(picture_seed)
    skin = _skin(lesion, view)
    kind = _KINDS[code]
    pixels = kind(skin, _canvas(view), lesion)
    pixels = _disturbances(_light(pixels, view), lesion, view)
    focus = view.uniform(0.35, 0.9)
    pixels = scipy.ndimage.gaussian_filter(pixels, (focus, focus, 0))
    pixels += view.normal(0, 2.2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return (x + 0.5 - WIDTH / 2) / (HEIGHT / 2), (y + 0.5 - HEIGHT / 2) / (HEIGHT / 2)


def _canvas(view: np.random.Generator) -> Canvas:
    x, y = _grid()
    angle, scale = view.uniform(0, 2 * np.pi), view.uniform(0.85, 1.25)
    shift = (float(view.normal(0, 0.12)), float(view.normal(0, 0.09)))
    dx, dy = (x - shift[0]) / scale, (y - shift[1]) / scale
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return Canvas(cos * dx + sin * dy, cos * dy - sin * dx, angle, scale, shift)


def _clouds(random: np.random.Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    """Return smooth noise of mean 0 and deviation near 1, fixed to the coordinates (u, v)."""
    lattice = random.normal(0, 1.5, (128, 128)).astype(np.float32)
    return scipy.ndimage.map_coordinates(lattice, [v * frequency + 64, u * frequency + 64], order=1, mode="nearest")


def _mottle(random: np.random.Generator, across: float, down: float) -> np.ndarray:
    """Return (h, w) smooth noise of mean 0 and deviation near 1, fixed to the picture: cells a unit, each way."""
    shape = (max(2, round(2 * down)), max(2, round(2 * across * WIDTH / HEIGHT)))
    lattice = Image.fromarray(random.normal(0, 1.4, shape).astype(np.float32))
    return np.asarray(lattice.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def _absorb(pixels: np.ndarray, transmission: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Return `pixels` seen through (h, w) `density` layers of a pigment that lets `transmission` of light through."""
    attenuation = np.log(np.asarray(transmission, np.float32))
    return pixels * np.exp(np.maximum(density, 0).astype(np.float32)[..., None] * attenuation)


def _cover(pixels: np.ndarray, colour: tuple[int, int, int], opacity: np.ndarray) -> np.ndarray:
    """Return `pixels` under a layer of `colour` of (h, w) `opacity` 0..1."""
    alpha = np.clip(opacity, 0, 1).astype(np.float32)[..., None]
    return pixels * (1 - alpha) + np.array(colour, np.float32) * alpha


def _inside(
    canvas: Canvas, lesion: np.random.Generator, radius: float, ragged: float, softness: float, long: float = 1.2
) -> np.ndarray:
    """Return (h, w) 0..1, how far inside the lesion each pixel is.

    Args:
        radius: Mean radius. ragged: 0 for an ellipse, 0.3 for a very irregular border.
        softness: Width of the border. long: Length over width.
    """
    aspect = lesion.uniform(1, long)
    u, v = canvas.u / aspect**0.5, canvas.v * aspect**0.5
    theta, border = np.arctan2(v, u), np.full(u.shape, radius, np.float32)
    for waves in range(2, 8):
        swing = float(lesion.normal(0, ragged / waves**0.5))
        border += radius * swing * np.cos(waves * theta + lesion.uniform(0, 2 * np.pi)) / 2
    border += radius * ragged * 0.35 * _clouds(lesion, canvas.u, canvas.v, 7)
    return scipy.special.expit((border - np.hypot(u, v)) / (softness / 4))


def _network(canvas: Canvas, lesion: np.random.Generator, frequency: float, warp: float) -> np.ndarray:
    """Return (h, w) 0..1 of a pigment network: dark lines around pale holes, irregular as `warp` grows."""
    u = canvas.u + warp * _clouds(lesion, canvas.u, canvas.v, 5)
    v = canvas.v + warp * _clouds(lesion, canvas.u, canvas.v, 5)
    waves = sum(np.cos(frequency * (u * cos + v * sin)) for cos, sin in _THREE_WAYS)
    return np.clip(0.75 - waves / 2, 0, 1)


def _scatter(lesion: np.random.Generator, many: int, within: float) -> np.ndarray:
    """Return (many, 2) points in a disc of radius `within`, in the lesion's coordinates."""
    distance, turn = within * np.sqrt(lesion.uniform(0, 1, many)), lesion.uniform(0, 2 * np.pi, many)
    return np.stack([distance * np.cos(turn), distance * np.sin(turn)], axis=1)


def _spots(canvas: Canvas, centres: np.ndarray, radii: np.ndarray, sharp: float = 2.0) -> np.ndarray:
    """Return (h, w) 0..1 of round spots; `sharp` 1 is a haze, 4 a disc."""
    total = np.zeros(canvas.u.shape, np.float32)
    # Python's own floats, here and below: NumPy's would turn the arrays to float64, at half the speed.
    for (x, y), radius in zip(centres.tolist(), radii.tolist(), strict=True):
        squared = ((canvas.u - x) ** 2 + (canvas.v - y) ** 2) * (1 / radius**2)
        near = squared < 8
        total[near] = np.maximum(total[near], np.exp(-(squared[near] ** sharp)))
    return total


def _lines(strokes: list[tuple[list[tuple[float, float]], float]], blur: float = 0.0) -> np.ndarray:
    """Return (h, w) 0..1 of poly-lines, each given by its oversampled pixels and its width in pixels."""
    large = Image.new("L", (WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING))
    pen = ImageDraw.Draw(large)
    for points, width in strokes:
        pen.line(points, fill=255, width=max(1, round(width * _OVERSAMPLING)), joint="curve")
    drawn = np.asarray(large.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float32) / 255
    return scipy.ndimage.gaussian_filter(drawn, blur) if blur else drawn


def _nevus(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """Round and even: one brown, a regular network that fades towards the border."""
    inside = _inside(canvas, lesion, lesion.uniform(0.26, 0.54), lesion.uniform(0.03, 0.12), softness=0.2, long=1.4)
    density = lesion.uniform(0.8, 1.9) + lesion.uniform(0.1, 0.3) * _clouds(lesion, canvas.u, canvas.v, 5)
    network = _network(canvas, lesion, lesion.uniform(44, 60), warp=lesion.uniform(0.02, 0.035))
    return _absorb(skin, _MELANIN, inside * (density + lesion.uniform(0.15, 0.6) * network))


def _melanoma(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """Large, ragged and lopsided: tan to black in blotches, a coarse broken network, blue-white veil, dots."""
    radius = lesion.uniform(0.4, 0.72)
    ragged, softness = lesion.uniform(0.08, 0.26), lesion.uniform(0.08, 0.16)
    inside = _inside(canvas, lesion, radius, ragged, softness, long=1.5)
    blotches = np.clip(_clouds(lesion, canvas.u, canvas.v, 3) + 0.7 * canvas.u / radius, -1, 1.8)
    network = _network(canvas, lesion, lesion.uniform(30, 38), warp=0.06)
    pixels = _absorb(skin, _MELANIN, inside * (lesion.uniform(1.3, 2.0) + 0.9 * blotches + 0.7 * network))
    pixels = _absorb(pixels, _DEEP_MELANIN, inside * np.clip(blotches, 0, 2) * 0.7)
    middles = _scatter(lesion, 2, radius * 0.5)
    veil = _spots(canvas, middles, lesion.uniform(0.14, 0.26, 2), sharp=1.0)
    pixels = _cover(pixels, (118, 132, 160), inside * veil * lesion.uniform(0.1, 0.7))
    dots = _scatter(lesion, 16, radius * 1.0)
    return _absorb(pixels, _MELANIN, 2.2 * _spots(canvas, dots, lesion.uniform(0.015, 0.035, 16)) * inside**0.3)


def _keratosis(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """Stuck on, with a sharp notched border: yellow-brown, ridged, pale milia-like cysts and dark openings."""
    radius = lesion.uniform(0.4, 0.66)
    inside = _inside(canvas, lesion, radius, ragged=0.13, softness=lesion.uniform(0.04, 0.09), long=1.5)
    yellow = np.array([0.80, 0.66, 0.42], np.float32)
    pixels = _absorb(skin, yellow, inside * (lesion.uniform(0.7, 1.3) + 0.3 * _clouds(lesion, canvas.u, canvas.v, 8)))
    ridges = np.abs(_clouds(lesion, canvas.u, canvas.v, 11))
    pixels = _absorb(pixels, _MELANIN, inside * np.clip(0.9 - ridges, 0, 1) * lesion.uniform(0.5, 1.0))
    many = int(lesion.integers(3, 18))
    cysts = _spots(canvas, _scatter(lesion, many, radius * 0.8), lesion.uniform(0.022, 0.05, many), sharp=2)
    pixels = _cover(pixels, (250, 238, 205), inside * cysts * lesion.uniform(0.4, 0.85))
    many = int(lesion.integers(1, 12))
    openings = _spots(canvas, _scatter(lesion, many, radius * 0.8), lesion.uniform(0.025, 0.05, many), sharp=3)
    return _absorb(pixels, _MELANIN, inside * openings * lesion.uniform(0.8, 2.0))


def _basal_cell_carcinoma(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """Pink and shiny with branching red vessels and blue-grey ovoid nests."""
    radius = lesion.uniform(0.38, 0.62)
    inside = _inside(canvas, lesion, radius, ragged=0.1, softness=0.16, long=1.4)
    pixels = _absorb(skin, _BLOOD, inside * (lesion.uniform(0.25, 0.5) + 0.1 * _clouds(lesion, canvas.u, canvas.v, 6)))
    shine = _spots(canvas, _scatter(lesion, 3, 0.4), np.full(3, 0.16), sharp=1)
    pixels = _cover(pixels, (250, 226, 226), inside * shine * 0.5)
    strokes: list[tuple[list[tuple[float, float]], float]] = []
    for _ in range(int(lesion.integers(3, 6))):
        turn = lesion.uniform(0, 2 * np.pi)
        start = radius * np.array([np.cos(turn), np.sin(turn)])
        _branch(canvas, lesion, start, turn + np.pi + lesion.normal(0, 0.3), lesion.uniform(1.0, 2.2), radius, strokes)
    pixels = _absorb(pixels, np.array([0.75, 0.18, 0.22], np.float32), _lines(strokes, 0.5) * lesion.uniform(0.5, 1.0))
    many = int(lesion.integers(2, 8))
    nests = _spots(canvas, _scatter(lesion, many, radius * 0.85), lesion.uniform(0.05, 0.13, many), sharp=1.5)
    return _absorb(pixels, _DEEP_MELANIN, nests * lesion.uniform(0.5, 1.4))


def _branch(
    canvas: Canvas,
    lesion: np.random.Generator,
    start: np.ndarray,
    heading: float,
    width: float,
    length: float,
    strokes: list[tuple[list[tuple[float, float]], float]],
) -> None:
    """Add a vessel that wanders from `start` and forks into thinner ones to `strokes`."""
    points = [start]
    for step in range(9):
        heading += lesion.normal(0, 0.28)
        points.append(points[-1] + length / 9 * np.array([np.cos(heading), np.sin(heading)]))
        if width > 1.2 and step in (3, 6):
            side = heading + lesion.choice([-1, 1]) * lesion.uniform(0.5, 0.9)
            _branch(canvas, lesion, points[-1], side, width * 0.6, length * 0.55, strokes)
    strokes.append((canvas.pixels(np.array(points)), width * canvas.scale))


def _actinic_keratosis(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """A red patch without a clear border, sprinkled with pale follicles, under white to yellow scale."""
    radius = lesion.uniform(0.45, 0.7)
    inside = _inside(canvas, lesion, radius, ragged=0.2, softness=0.35, long=1.4)
    redness = np.clip(lesion.uniform(0.45, 0.9) + 0.25 * _clouds(lesion, canvas.u, canvas.v, 9), 0.2, 2)
    pixels = _absorb(skin, np.array([0.90, 0.50, 0.40], np.float32), inside * redness)
    many = int(lesion.integers(22, 36))
    follicles = _spots(canvas, _scatter(lesion, many, radius), lesion.uniform(0.025, 0.045, many), sharp=1.5)
    pixels = _cover(pixels, (244, 214, 190), inside * follicles * 0.75)
    flakes = np.clip(_clouds(lesion, canvas.u, canvas.v, 6) + 0.6 * _clouds(lesion, canvas.u, canvas.v, 18) - 0.9, 0, 1)
    return _cover(pixels, (246, 232, 208), inside * flakes * lesion.uniform(0.3, 0.9))


def _dermatofibroma(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """A firm button: white scar-like centre, pale brown ring with a delicate network, pink around."""
    radius = lesion.uniform(0.36, 0.54)
    inside = _inside(canvas, lesion, radius, ragged=0.04, softness=0.22, long=1.25)
    pixels = _absorb(skin, _BLOOD, _spots(canvas, np.zeros((1, 2)), np.array([radius * 1.35]), 1) * 0.22)
    network = _network(canvas, lesion, 60, warp=0.025)
    pixels = _absorb(pixels, _MELANIN, inside * (lesion.uniform(0.55, 0.9) + 0.35 * network))
    ragged = 0.12 * _clouds(lesion, canvas.u, canvas.v, 8)
    distance = np.hypot(canvas.u, canvas.v) / (radius * lesion.uniform(0.42, 0.6)) + ragged
    return _cover(pixels, (250, 232, 224), np.exp(-(np.abs(distance) ** 3)) * lesion.uniform(0.45, 0.9))


def _vascular(skin: np.ndarray, canvas: Canvas, lesion: np.random.Generator) -> np.ndarray:
    """Crowded red to purple lacunae, sharply bounded, parted by pale septa."""
    radius = lesion.uniform(0.26, 0.5)
    inside = _inside(canvas, lesion, radius, ragged=0.1, softness=lesion.uniform(0.06, 0.12), long=1.3)
    purple = lesion.uniform(0, 1)
    blood = _BLOOD * (1 - purple) + _PURPLE_BLOOD * purple
    pixels = _absorb(skin, blood, inside * (lesion.uniform(0.5, 0.9) + 0.15 * _clouds(lesion, canvas.u, canvas.v, 9)))
    many = int(lesion.integers(9, 18))
    lacunae = _spots(canvas, _scatter(lesion, many, radius * 0.9), lesion.uniform(0.07, 0.13, many), sharp=3)
    return _absorb(pixels, blood * np.array([0.96, 0.62, 0.85], np.float32), lacunae * inside**0.5 * 1.2)


_KINDS: dict[str, Callable[[np.ndarray, Canvas, np.random.Generator], np.ndarray]] = dict(
    zip(
        CODES,
        (
            _actinic_keratosis,
            _basal_cell_carcinoma,
            _keratosis,
            _dermatofibroma,
            _melanoma,
            _nevus,
            _vascular,
        ),
        strict=True,
    )
)


def _skin(lesion: np.random.Generator, view: np.random.Generator) -> np.ndarray:
    """Return (h, w, 3) float32 of bare skin: tone of the patient, blotches, furrows, grain."""
    tone = _SKIN[lesion.choice(len(_SKIN), p=[0.28, 0.28, 0.2, 0.16, 0.08])] + lesion.normal(0, 5, 3).astype(np.float32)
    pixels = np.broadcast_to(tone, (HEIGHT, WIDTH, 3)).astype(np.float32)
    pixels = _absorb(pixels, _BLOOD, 0.12 + 0.05 * _mottle(view, 4, 4) + 0.03 * _mottle(view, 12, 12))
    pixels = _absorb(pixels, _MELANIN, 0.06 + 0.035 * _mottle(view, 9, 9))
    furrows = np.clip(np.abs(_mottle(view, 9, 26)), 0, 1) + np.clip(np.abs(_mottle(view, 26, 9)), 0, 1)
    return pixels * (0.955 + 0.03 * furrows)[..., None]


def _light(pixels: np.ndarray, view: np.random.Generator) -> np.ndarray:
    """Return `pixels` under this picture's lamp: brightness, colour cast, and a fall-off to one side."""
    x, y = _grid()
    turn = view.uniform(0, 2 * np.pi)
    fall = 1 + view.uniform(0, 0.08) * (x * float(np.cos(turn)) + y * float(np.sin(turn))) - 0.05 * (x * x + y * y)
    cast = view.normal(1, 0.02, 3).astype(np.float32) * view.uniform(0.9, 1.06)
    return pixels * fall[..., None] * cast


def _disturbances(pixels: np.ndarray, lesion: np.random.Generator, view: np.random.Generator) -> np.ndarray:
    """Return `pixels` with what gets in the way: hair, gel bubbles, a ruler, the dark rim of the lens."""
    if lesion.uniform() < 0.4:
        pixels = _hair(pixels, lesion, view)
    if view.uniform() < 0.2:
        pixels = _bubbles(pixels, view)
    if view.uniform() < 0.18:
        pixels = _ruler(pixels, view)
    x, y = _grid()
    if view.uniform() < 0.33:
        radius = view.uniform(1.2, 1.6)
        rim = scipy.special.expit((np.hypot(x - float(view.normal(0, 0.04)), y) - radius) / 0.02)
        pixels = _cover(pixels, (12, 8, 10), rim)
    return pixels


def _hair(pixels: np.ndarray, lesion: np.random.Generator, view: np.random.Generator) -> np.ndarray:
    """Return `pixels` under gently curved hairs that lie roughly in one direction."""
    colour = [(38, 24, 20), (62, 40, 28), (128, 92, 60)][int(lesion.integers(3))]
    turn, many = view.uniform(0, np.pi), int(lesion.choice([5, 9, 16, 26]))
    strokes: list[tuple[list[tuple[float, float]], float]] = []
    along = np.linspace(-1, 1, 16)
    for _ in range(many):
        heading, bend = turn + view.normal(0, 0.35), view.normal(0, 0.18)
        middle, half = view.uniform([0, 0], [WIDTH, HEIGHT]), view.uniform(50, 130)
        line = np.stack([half * along, half * bend * along**2], axis=1)
        cos, sin = np.cos(heading), np.sin(heading)
        placed = (line @ np.array([[cos, sin], [-sin, cos]]) + middle) * _OVERSAMPLING
        strokes.append(([(float(px), float(py)) for px, py in placed], view.uniform(0.8, 1.7)))
    return _cover(pixels, colour, _lines(strokes, 0.35) * 0.85)


def _bubbles(pixels: np.ndarray, view: np.random.Generator) -> np.ndarray:
    """Return `pixels` with air bubbles in the gel: a bright ring with a dark one inside."""
    x, y = _grid()
    for _ in range(int(view.integers(3, 12))):
        radius = view.uniform(0.02, 0.07)
        away = np.hypot(x - view.uniform(-1.3, 1.3), y - view.uniform(-1, 1))
        pixels = _cover(pixels, (255, 250, 246), np.exp(-(((away - radius) / 0.011) ** 2)) * 0.28)
        pixels = _absorb(pixels, _MELANIN, np.exp(-(((away - radius * 0.8) / 0.02) ** 2)) * 0.2)
    return pixels


def _ruler(pixels: np.ndarray, view: np.random.Generator) -> np.ndarray:
    """Return `pixels` with a scale's tick marks along the bottom or the right edge."""
    apart, base = view.uniform(8, 13) * _OVERSAMPLING, view.uniform(3, 10) * _OVERSAMPLING
    strokes: list[tuple[list[tuple[float, float]], float]] = []
    wide, high = WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING
    below = view.uniform() < 0.6
    for tick in range(int((wide if below else high) / apart)):
        reach = base + (9 if tick % 5 == 0 else 5) * _OVERSAMPLING
        at = (tick + 0.5) * apart
        ends = [(at, high - base), (at, high - reach)] if below else [(wide - base, at), (wide - reach, at)]
        strokes.append((ends, 0.9))
    return _cover(pixels, (30, 26, 30), _lines(strokes) * 0.8)
