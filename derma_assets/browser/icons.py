"""The installed app's icons, drawn from the page's `icon.svg`: `python -m derma_assets.browser.icons`.

Needed only when the drawing changes; what it writes ships with the page's sources.
"""

import base64
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from derma_assets.browser import chromium
from derma_assets.browser.web_build import SOURCES
from derma_assets.errors import UserError, told_to_the_user
from derma_assets.settings import settings

FOLDER = SOURCES / "public"
SIZES = (192, 512)
GROUND = "#f6f7f8"
# A phone may cut a maskable icon to a circle of 80 % of its side (W3C, Web Application Manifest, "Safe zone").
MASKABLE_SHARE = 0.6


def drawn_icons(svg: bytes, browser: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield each icon's file name and picture: as it is on nothing, and smaller on a filled square.

    Raises:
        UserError: the browser does not start.
    """
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    with chromium.launched(browser) as running:
        for size in SIZES:
            page = running.new_page(viewport={"width": size, "height": size})
            for name, share, ground in (
                (f"icon-{size}.png", 1.0, "transparent"),
                (f"icon-maskable-{size}.png", MASKABLE_SHARE, GROUND),
            ):
                page.set_content(
                    f'<body style="margin:0;height:100vh;display:grid;place-items:center;background:{ground}">'
                    f'<img src="{source}" width="{share * size}" height="{share * size}">'
                )
                page.wait_for_function("document.images[0].complete")
                yield name, Image.open(io.BytesIO(page.screenshot(omit_background=True)))
            page.close()


@told_to_the_user
def main() -> None:
    """Run the command."""
    browser = chromium.find_browser(settings().browser)
    if browser is None:
        raise UserError(f"there is no browser to draw with. {chromium.ADVICE}")
    for name, icon in drawn_icons((FOLDER / "icon.svg").read_bytes(), browser):
        icon.quantize(64, method=Image.Quantize.FASTOCTREE).save(FOLDER / name, optimize=True)
        print(FOLDER / name)


if __name__ == "__main__":
    sys.exit(main())
