"""The installed app's icons are those of the drawing, in the sizes that the web app manifest states."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from derma_assets.browser.icons import FOLDER, SIZES, drawn_icons

LISTED = json.loads((FOLDER / "app.webmanifest").read_text())["icons"]


@pytest.mark.parametrize("icon", LISTED, ids=[icon["src"] for icon in LISTED])
def test_every_icon_is_as_it_is_listed(icon: dict[str, str]) -> None:
    file = FOLDER / icon["src"]

    assert file.is_file()
    if icon["type"] == "image/png":
        width, height = Image.open(file).size
        assert icon["sizes"] == f"{width}x{height}"


@pytest.mark.parametrize("size", SIZES)
def test_a_maskable_icon_survives_a_round_cut(size: int) -> None:
    icon = np.asarray(Image.open(FOLDER / f"icon-maskable-{size}.png").convert("RGBA")).astype(int)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    cut_off = np.hypot(x, y) > 0.4 * size

    assert (icon[..., 3] == 255).all()
    assert np.abs(icon[cut_off] - icon[0, 0]).max() <= 2


@pytest.mark.browser
def test_the_icons_are_of_the_drawing(browser_program: Path) -> None:
    for name, drawn in drawn_icons((FOLDER / "icon.svg").read_bytes(), browser_program):
        kept = np.asarray(Image.open(FOLDER / name).convert("RGBA")).astype(int)
        difference = np.abs(kept - np.asarray(drawn.convert("RGBA")).astype(int))

        assert difference.mean() < 1, name
