"""`python -m derma_assets.browser.screenshots`: pictures of the app's screens for the documentation.

Shows generated pictures only, so it wants a bundle of the embedded sample: a model of real skin refuses them.
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from derma_assets.browser.chromium import ADVICE, BrowserUnavailable, find_browser, launched, open_bundle
from derma_assets.browser.serve import serving
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.errors import told_to_the_user
from derma_assets.settings import settings
from derma_assets.storage.published import fetched_path

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

PHONE: "ViewportSize" = {"width": 360, "height": 740}
DESKTOP: "ViewportSize" = {"width": 1280, "height": 800}
_DARK_GREY = 12


def take_screenshots(bundle: Path, folder: Path) -> list[Path]:
    """Write one PNG for each screen of the app and return their paths.

    Args:
        bundle: The bundle to show.
        folder: Where to; made if need be.

    Raises:
        BrowserUnavailable: there is no browser.
        UserError: the page cannot be used.
    """
    program = find_browser(settings().browser)
    if program is None:
        raise BrowserUnavailable(f"no browser found. {ADVICE}")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with serving(bundle) as address, launched(program) as browser:
        for name, (screen, viewport) in _SCREENS.items():
            context = browser.new_context(viewport=viewport, locale="en-US", device_scale_factor=1.5)
            page = open_bundle(context, address)
            page.wait_for_selector("#status")
            screen(page)
            page.wait_for_timeout(500)  # Canvases are drawn after the screen.
            path = folder / f"app-{name}.png"
            page.screenshot(path=path)
            written.append(path)
            context.close()
    return written


def _upload(name: str, picture: Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def _check(page: Any, picture: Image.Image) -> None:
    page.set_input_files("#file", _upload("lesion.png", picture))
    page.wait_for_selector("canvas.viewport")
    page.click("#analyse")
    page.wait_for_selector("#verdict, #refusal")


def _frame(page: Any) -> None:
    page.set_input_files("#file", _upload("lesion.png", draw_picture(MELANOMA, 3, 0)))
    page.wait_for_selector("canvas.viewport")


def _result(page: Any) -> None:
    _check(page, draw_picture(MELANOMA, 3, 0))


def _refusal(page: Any) -> None:
    _check(page, Image.new("RGB", (300, 300), (_DARK_GREY,) * 3))


def _batch(page: Any) -> None:
    files = [_upload(f"IMG_{number:04}.png", draw_picture(code, 3, 0)) for number, code in enumerate(CODES)]
    page.set_input_files("#file", [*files, _upload("IMG_0007.png", Image.new("RGB", (300, 300), (_DARK_GREY,) * 3))])
    page.wait_for_function(
        "(count) => document.querySelectorAll('#batch tbody tr').length === count", arg=len(files) + 1
    )
    page.wait_for_function("() => !document.querySelector('#batch [data-state=waiting]')")


def _about(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/about'; }")
    page.wait_for_selector("#overall")


_SCREENS: "dict[str, tuple[Callable[[Any], None], ViewportSize]]" = {
    "frame": (_frame, PHONE),
    "result": (_result, PHONE),
    "refusal": (_refusal, PHONE),
    "batch": (_batch, DESKTOP),
    "about": (_about, DESKTOP),
}


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.browser.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write them")
    chosen = parser.parse_args(arguments)
    for path in take_screenshots(fetched_path(settings().store, "tfjs_bundle", "folder"), chosen.folder):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
