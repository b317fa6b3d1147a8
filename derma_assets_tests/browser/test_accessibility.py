"""Every screen: no violation that axe-core finds, targets large enough for a finger, and room for larger text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from derma_assets.browser.bundle import write_bundle
from derma_assets.browser.serve import serving
from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.settings import settings
from derma_assets_tests.browser.conftest import Deployed, describe
from derma_assets_tests.browser.test_page import check, flat, frame, picture_of, upload

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
TOUCH_TARGET = 44

_AXE = """async () => {
  const { violations } = await axe.run(document);
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]);
}"""
_SMALL = """(least) => [...document.querySelectorAll("a, button, summary, select, textarea, input, [tabindex='0']")]
  .filter((element) => element.checkVisibility() && !element.matches(".skip, .visually-hidden"))
  .map((element) => [element.outerHTML.slice(0, 100), element.getBoundingClientRect()])
  .filter(([, box]) => box.height < least - 0.5 || box.width < least - 0.5)
  .map(([html, box]) => [html, box.width, box.height])"""
_SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def address(page_folder: Path, deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("screens") / "bundle"
    limits = {"measures": [{"name": "brightness", "low": 40, "high": None}]}
    write_bundle(folder, page_folder, deployed.variants / "float32", "float32", describe(limits=limits))
    with serving(folder) as address:
        yield address


def home(page: Any) -> None:
    page.wait_for_selector("#file", state="attached")


def framing(page: Any) -> None:
    frame(page, picture_of(MELANOMA))


def result(page: Any) -> None:
    check(page, picture_of(MELANOMA))


def refusal(page: Any) -> None:
    check(page, flat(5))


def problem(page: Any) -> None:
    page.set_input_files("#file", upload(b"letter", "letter.jpg", "image/jpeg"))
    page.wait_for_selector("#problem")


def batch(page: Any) -> None:
    files = [upload(picture_of(code), f"{code}.png") for code in CODES[:3]]
    page.set_input_files("#file", [*files, upload(flat(5), "dark.png"), upload(b"letter", "letter.jpg", "image/jpeg")])
    page.wait_for_function("() => document.querySelectorAll('#batch tbody tr').length === 5")
    page.wait_for_function("() => !document.querySelector('#batch [data-state=waiting]')")


def history(page: Any) -> None:
    page.evaluate("() => localStorage.setItem('derma-history', 'on')")
    check(page, picture_of(MELANOMA))
    page.wait_for_timeout(500)
    page.evaluate("() => { location.hash = '#/history'; }")
    page.wait_for_selector("#history li")


def about(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/about'; }")
    page.wait_for_selector("#overall")


def options(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/settings'; }")
    page.wait_for_selector("#language")


SCREENS = (home, framing, result, refusal, problem, batch, history, about, options)


@pytest.fixture(scope="module")
def axe(page_folder: Path) -> str:
    return (settings().root / "build" / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
@pytest.mark.parametrize(
    ("size", "scheme", "language"),
    [(PHONE, "light", "ru-RU"), (PHONE, "dark", "kk-KZ"), (DESKTOP, "light", "en-US"), (DESKTOP, "dark", "ru-RU")],
    ids=["phone light ru", "phone dark kk", "desktop light en", "desktop dark ru"],
)
def test_a_screen_is_accessible(
    browser: Any, address: str, axe: str, screen: Any, size: dict[str, int], scheme: str, language: str
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme, locale=language)
    context.add_init_script(axe)
    page = context.new_page()
    page.goto(address)
    page.evaluate("() => window.derma.ready")
    screen(page)

    assert page.evaluate(_AXE) == []
    assert page.evaluate(_SMALL, TOUCH_TARGET) == []
    assert page.evaluate(_SIDEWAYS) <= 0
    context.close()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
def test_text_of_twice_the_size_needs_no_sideways_scrolling(browser: Any, address: str, screen: Any) -> None:
    context = browser.new_context(viewport=PHONE, locale="ru-RU")
    page = context.new_page()
    page.goto(address)
    page.evaluate("() => window.derma.ready")
    screen(page)
    page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")

    assert page.evaluate(_SIDEWAYS) <= 0
    context.close()


def test_a_picture_is_judged_by_keyboard_alone(browser: Any, address: str) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(address)
    page.evaluate("() => window.derma.ready")
    with page.expect_file_chooser() as chooser:
        page.focus("#file")
        page.keyboard.press("Enter")
    chooser.value.set_files(upload(picture_of(MELANOMA)))
    page.wait_for_selector("canvas.viewport")
    assert page.evaluate("() => document.activeElement.tagName") == "H1"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "analyse":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#verdict")

    assert page.evaluate("() => document.activeElement.tagName") == "H1"
    context.close()
