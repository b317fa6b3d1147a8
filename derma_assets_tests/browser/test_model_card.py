"""The model card in a real browser: no violation that axe-core finds, nothing fetched, fit for phone and paper."""

from pathlib import Path
from typing import Any

import pytest

from derma_assets.evaluation.model_card.card import HTML, write_card
from derma_assets.settings import settings
from derma_assets_tests.browser.test_accessibility import _AXE, _SIDEWAYS, DESKTOP, PHONE
from derma_assets_tests.evaluation.model_card import made_up

pytestmark = pytest.mark.browser

# Width of a sheet of A4 without its margins, in CSS pixels.
PRINTED = {"width": 688, "height": 1000}
_BEYOND = """(width) => [...document.querySelectorAll("table, img, p, h2, h3")]
  .filter((element) => element.getBoundingClientRect().right > width + 1)
  .map((element) => element.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("card") / "model_card"
    write_card(made_up.evidence(), made_up.provenance(), folder)
    return (folder / HTML).as_uri()


@pytest.fixture(scope="module")
def axe(page_folder: Path) -> str:
    return (settings().root / "build" / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_card_is_accessible_and_fetches_nothing(
    browser: Any, card: str, axe: str, size: dict[str, int], scheme: str
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme)
    context.add_init_script(axe)
    page = context.new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(card)

    assert page.evaluate(_AXE) == []
    assert page.evaluate(_SIDEWAYS) <= 0
    assert [url for url in fetched if not url.startswith("data:")] == [card]
    drawn = "() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(drawn)
    context.close()


def test_nothing_is_cut_off_on_paper(browser: Any, card: str) -> None:
    context = browser.new_context(viewport=PRINTED)
    page = context.new_page()
    page.goto(card)
    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate(_BEYOND, PRINTED["width"]) == []
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    context.close()
