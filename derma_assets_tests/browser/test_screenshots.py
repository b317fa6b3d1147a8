"""The documentation's pictures can be taken from a bundle of the embedded sample."""

from pathlib import Path

import pytest
from PIL import Image

from derma_assets.browser.bundle import write_bundle
from derma_assets.browser.screenshots import take_screenshots
from derma_assets_tests.browser.conftest import Deployed, describe

pytestmark = pytest.mark.browser


def test_every_screen_has_its_picture(page_folder: Path, deployed: Deployed, tmp_path: Path) -> None:
    limits = {"measures": [{"name": "brightness", "low": 40, "high": None}]}
    bundle = tmp_path / "bundle"
    write_bundle(bundle, page_folder, deployed.variants / "uint8", "uint8", describe(limits=limits))

    written = take_screenshots(bundle, tmp_path / "pictures")

    assert [path.name for path in written] == [
        f"app-{name}.png" for name in ("frame", "result", "refusal", "batch", "about")
    ]
    for path in written:
        with Image.open(path) as picture:
            colours = picture.convert("RGB").getcolors(maxcolors=1 << 24)
            assert colours is not None
            assert len(colours) > 50
