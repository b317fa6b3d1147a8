from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFilter

from derma_assets.dataset.manifest import build_manifest
from derma_assets.dataset.picture_artefacts import (
    Artefacts,
    artefact_flags,
    artefacts_table,
    measure_artefacts,
)
from derma_assets.errors import InputError

SKIN, LESION, HAIR, INK = (225, 175, 160), (120, 70, 60), (50, 35, 30), (60, 70, 200)
Drawing = Callable[[ImageDraw.ImageDraw], None]


def picture(draw: Drawing | None = None, size: tuple[int, int] = (600, 450)) -> Image.Image:
    """Return skin with a round lesion, and what `draw` puts on it in a frame of 600 x 450."""
    drawn = Image.new("RGB", (600, 450), SKIN)
    canvas = ImageDraw.Draw(drawn)
    canvas.ellipse((220, 150, 380, 310), fill=LESION)
    drawn = drawn.filter(ImageFilter.GaussianBlur(6))
    if draw:
        draw(ImageDraw.Draw(drawn))
    noise = np.random.default_rng(0).normal(0, 3, (450, 600, 3))
    grainy = Image.fromarray(np.clip(np.asarray(drawn) + noise, 0, 255).astype(np.uint8))
    return grainy.resize(size, Image.Resampling.BILINEAR)


def hairs(canvas: ImageDraw.ImageDraw) -> None:
    for left in range(30, 600, 90):
        canvas.line((left, 20, left + 120, 430), fill=HAIR, width=5)


def scale(canvas: ImageDraw.ImageDraw) -> None:
    for mark in range(7):
        x, y = 380 + 30 * mark, 60 + 12 * mark
        canvas.line((x, y, x - 10, y + (40 if mark % 5 == 0 else 24)), fill=(10, 10, 10), width=4)


def stubble(canvas: ImageDraw.ImageDraw) -> None:
    draw = np.random.default_rng(3)
    for x, y, turn in zip(draw.uniform(0, 600, 60), draw.uniform(0, 450, 60), draw.uniform(0, 3, 60), strict=True):
        canvas.line((x, y, x + 22 * np.cos(turn), y + 22 * np.sin(turn)), fill=HAIR, width=4)


def field_of_view(canvas: ImageDraw.ImageDraw) -> None:
    canvas.ellipse((-150, -225, 750, 675), outline=(5, 5, 5), width=170)


def ink(canvas: ImageDraw.ImageDraw) -> None:
    canvas.rectangle((0, 0, 60, 450), fill=INK)


def blue_naevus(canvas: ImageDraw.ImageDraw) -> None:
    canvas.ellipse((220, 150, 380, 310), fill=INK)


def flags(drawn: Image.Image) -> set[str]:
    found = artefact_flags(pd.DataFrame([vars(measure_artefacts(drawn))])).iloc[0]
    return set(found.index[found])


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (None, set()),
        (hairs, {"hair"}),
        (scale, {"scale"}),
        (stubble, set()),
        (field_of_view, {"dark_corners"}),
        (ink, {"ink"}),
        (blue_naevus, set()),
    ],
)
def test_each_finds_its_own_and_nothing_else(draw: Drawing | None, expected: set[str]) -> None:
    assert flags(picture(draw)) == expected


@pytest.mark.parametrize("size", [(200, 150), (600, 450), (1200, 900)])
def test_the_size_of_the_file_hardly_matters(size: tuple[int, int]) -> None:
    assert flags(picture(hairs, size)) == {"hair"}
    assert flags(picture(scale, size)) == {"scale"}


def test_hair_is_a_share_of_the_picture() -> None:
    found = measure_artefacts(picture(hairs))
    # Seven hairs of 427 x 5 pixels, of which the one at the right is cut off.
    share = 6.5 * 427 * 5 / (600 * 450)
    assert share < found.hair_share < 2 * share


def test_every_mark_of_a_scale_is_counted_whichever_way_it_lies() -> None:
    assert measure_artefacts(picture(scale)).tick_marks == 7
    assert measure_artefacts(picture(scale).transpose(Image.Transpose.ROTATE_90)).tick_marks == 7


def test_all_corners_of_a_field_of_view_are_counted() -> None:
    found = measure_artefacts(picture(field_of_view))
    assert found.dark_corner_count == 4
    assert 0.02 < found.dark_corner_share < 0.2


def test_a_long_thin_picture_can_be_measured() -> None:
    assert measure_artefacts(Image.new("RGB", (600, 20), SKIN)) == Artefacts(0.0, 0, 0.0, 0, 0.0)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {}
    for name, draw in (("plain", None), ("hairy", hairs)):
        paths[name] = tmp_path / f"{name}.jpg"
        picture(draw).save(paths[name], quality=95)
    return paths


def manifest_of(files: dict[str, Path]) -> pd.DataFrame:
    return build_manifest([*files, "absent"], files, Path("nowhere"), None).table


def test_a_row_for_each_readable_picture(files: dict[str, Path]) -> None:
    table, measured = artefacts_table(manifest_of(files), None)
    assert table["image_id"].tolist() == ["plain", "hairy"]
    assert measured == 2
    assert artefact_flags(table)["hair"].tolist() == [False, True]


def test_an_unchanged_file_is_not_measured_again(files: dict[str, Path]) -> None:
    manifest = manifest_of(files)
    first, _ = artefacts_table(manifest, None)
    again, measured = artefacts_table(manifest, first)
    assert measured == 0
    pd.testing.assert_frame_equal(again, first)
    assert artefacts_table(manifest, first.assign(measured_by="another version"))[1] == 2
    picture(scale).save(files["plain"], quality=95)
    assert artefacts_table(manifest_of(files), first)[1] == 1


def test_a_file_that_changed_since_is_not_measured_as_another(files: dict[str, Path]) -> None:
    manifest = manifest_of(files)
    files["plain"].write_bytes(files["hairy"].read_bytes())
    with pytest.raises(InputError, match=r"plain\.jpg has changed since raw_images was made"):
        artefacts_table(manifest, None)


def test_nothing_readable_says_where_to_look(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="look at the table raw_images"):
        artefacts_table(manifest_of(files).iloc[2:], None)
