"""The app in a real browser, used as a nurse would use it."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from derma_assets.browser.bundle import write_bundle
from derma_assets.browser.chromium import open_bundle
from derma_assets.browser.quantisation import logits_of
from derma_assets.browser.serve import serving
from derma_assets.dataset.preprocessing import decode, model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, MALIGNANT, MELANOMA
from derma_assets_tests.browser.conftest import (
    SIZE,
    THRESHOLDS,
    Deployed,
    calibrated_views,
    describe,
    probabilities,
    refers,
)

pytestmark = pytest.mark.browser

READY = "() => window.derma.ready"
OPENED = "#verdict, #refusal"


@pytest.fixture(scope="module")
def address(bundle_folder: Path) -> Iterator[str]:
    with serving(bundle_folder.parent) as root:
        # In a folder below the host's root, as a clinic may well put it.
        yield f"{root}{bundle_folder.name}/"


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(locale="en-US", accept_downloads=True)
    opened = open_bundle(context, address)
    yield opened
    context.close()


def picture_of(code: str, seed: int = 3) -> bytes:
    return png(draw_picture(code, seed, 0))


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def upload(content: bytes, name: str = "lesion.png", mime_type: str = "image/png") -> dict[str, Any]:
    return {"name": name, "mimeType": mime_type, "buffer": content}


def frame(page: Any, content: bytes, **options: str) -> None:
    """Choose one picture and wait until it can be framed."""
    page.goto("#/".join([page.url.split("#")[0], ""]))
    page.set_input_files("#file", upload(content, **options))
    page.wait_for_selector("canvas.viewport")


def check(page: Any, content: bytes, **options: str) -> None:
    """Choose one picture and have it judged as it is framed at first."""
    frame(page, content, **options)
    page.click("#analyse")
    page.wait_for_selector(OPENED)


def expected_probabilities(deployed: Deployed, content: bytes) -> np.ndarray:
    return probabilities(logits_of(deployed.trained, model_input(decode(content), SIZE)[np.newaxis])[0])


def shown_codes(page: Any) -> list[str]:
    return page.eval_on_selector_all("#diagnoses li", "all => all.map(one => one.dataset.code)")


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


@pytest.mark.parametrize("code", CODES)
def test_a_chosen_picture_shows_pythons_findings(page: Any, deployed: Deployed, code: str) -> None:
    content = picture_of(code)
    expected = expected_probabilities(deployed, content)
    check(page, content)

    best = np.argsort(-expected)[:3]
    assert shown_codes(page) == [CODES[index] for index in best]
    shown = [percent(text) for text in page.locator("#diagnoses .probability").all_inner_texts()]
    assert shown == pytest.approx(list(expected[best] * 100), abs=0.051)
    assert page.get_attribute("#verdict", "data-refer") == str(refers(expected)).lower()


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_dropped_or_pasted_picture_can_be_framed(page: Any, how: str) -> None:
    """Anywhere on the page: the browser would otherwise leave it for the picture."""
    page.evaluate(
        """([bytes, how]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "lesion.png", { type: "image/png" }));
          const event = how === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
          document.body.dispatchEvent(event);
        }""",
        [list(picture_of(MELANOMA)), how],
    )

    page.wait_for_selector("canvas.viewport")


def judged_crop(page: Any) -> dict[str, int]:
    """Return the square that is announced to those who do not see it."""
    side, left, top = re.findall(r"\d+", page.locator(".frame [role=status]").inner_text())
    return {"side": int(side), "left": int(left), "top": int(top)}


def test_the_model_sees_exactly_the_framed_square(page: Any, deployed: Deployed) -> None:
    picture = draw_picture(MELANOMA, 3, 0).resize((600, 450))
    content = png(picture)
    frame(page, content)
    assert judged_crop(page) == {"side": 450, "left": 75, "top": 0}
    page.focus("canvas.viewport")
    for key in ["+", "+", "ArrowRight", "ArrowDown", "ArrowDown"]:
        page.keyboard.press(key)
    crop = judged_crop(page)
    assert crop["side"] < 450
    page.click("#analyse")
    page.wait_for_selector("#verdict")

    left, top, side = crop["left"], crop["top"], crop["side"]
    square = picture.crop((left, top, left + side, top + side))
    expected = expected_probabilities(deployed, png(square))
    first = percent(page.locator("#diagnoses .probability").first.inner_text())
    assert first == pytest.approx(expected.max() * 100, abs=0.051)


def test_the_square_can_be_dragged_zoomed_and_pinched_but_not_out_of_the_picture(page: Any) -> None:
    frame(page, png(draw_picture(MELANOMA, 3, 0).resize((600, 450))))
    box = page.locator("canvas.viewport").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function("() => !document.querySelector('.frame [role=status]').innerText.includes('450')")
    zoomed = judged_crop(page)
    page.mouse.down()
    page.mouse.move(x - 40, y)
    page.mouse.up()
    dragged = judged_crop(page)
    page.mouse.down()
    page.mouse.move(x + 4000, y + 4000)
    page.mouse.up()
    cornered = judged_crop(page)

    assert zoomed["side"] < 450
    assert dragged["left"] > zoomed["left"]
    assert dragged["side"] == zoomed["side"]
    assert (cornered["left"], cornered["top"]) == (0, 0)


@pytest.mark.parametrize("side", ["at", "above"])
@pytest.mark.parametrize("rule", ["melanoma", "referral"])
def test_a_score_at_the_threshold_is_referred_and_below_is_not(
    page: Any, deployed: Deployed, rule: str, side: str, browser: Any, page_folder: Path, tmp_path: Path
) -> None:
    """One rule's threshold is put at, or just above, the picture's own score; the other is out of reach."""
    content = picture_of(MELANOMA)
    read = """async (bytes) => {
      const analysis = await window.derma.analyse(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
      return analysis.findings;
    }"""
    scores = {found["point"]["key"]: found["score"] for found in page.evaluate(read, list(content))["rules"]}
    thresholds = dict.fromkeys(THRESHOLDS, 2.0)
    thresholds[rule] = scores[rule] if side == "at" else float(np.nextafter(scores[rule], 1))
    views = {"views": [calibrated_views(1, thresholds=thresholds)]}
    write_bundle(
        tmp_path / "bundle", page_folder, deployed.variants / "float32", "float32", describe(view_calibration=views)
    )
    with serving(tmp_path / "bundle") as address:
        own = open_bundle(browser, address)
        assert own.evaluate(read, list(content))["refer"] is (side == "at")
        own.close()


def test_banners_are_on_every_screen(page: Any) -> None:
    check(page, picture_of(MELANOMA))
    for address in (page.url, "#/", "#/about", "#/settings", "#/history"):
        page.evaluate("(address) => { location.hash = address.includes('#') ? address.split('#')[1] : ''; }", address)
        page.wait_for_timeout(50)
        assert "Decision support, not a diagnosis." in page.inner_text("#disclaimer")
        assert "not for any real use" in page.inner_text("#synthetic")


def test_a_bundle_of_real_data_has_no_synthetic_banner(
    browser: Any, page_folder: Path, deployed: Deployed, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "bundle", page_folder, deployed.variants / "uint8", "uint8", describe("ham10000"))
    with serving(tmp_path / "bundle") as address:
        page = open_bundle(browser, address)
        assert not page.is_visible("#synthetic")
        assert page.is_visible("#disclaimer")
        page.close()


def test_malignant_diagnoses_are_told_apart_without_colour(page: Any) -> None:
    check(page, picture_of(MELANOMA))
    for item in page.locator("#diagnoses li").all():
        malignant = item.get_attribute("data-code") in MALIGNANT
        kind = item.locator(".kind")
        assert (kind.inner_text().strip() == "malignant") is malignant
        assert (kind.locator("svg").count() == 1) is malignant


def test_the_heat_map_follows_the_diagnosis_and_the_slider(page: Any) -> None:
    changed = "(before) => document.getElementById('heat').toDataURL() !== before"
    check(page, picture_of(MELANOMA))
    page.wait_for_selector("#heat")
    blank = page.evaluate(
        """() => {
          const { width, height } = document.getElementById("heat");
          return Object.assign(document.createElement("canvas"), { width, height }).toDataURL();
        }"""
    )
    page.wait_for_function(changed, arg=blank)
    first = page.evaluate("() => document.getElementById('heat').toDataURL()")
    page.click("#diagnoses li:nth-child(2) button")
    page.wait_for_function(changed, arg=first)
    page.fill("#opacity", "0")

    assert page.get_attribute("#diagnoses li:nth-child(2) button", "aria-pressed") == "true"
    assert page.evaluate("() => document.getElementById('heat').style.opacity") == "0"


@pytest.fixture
def guarded(browser: Any, page_folder: Path, deployed: Deployed, tmp_path: Path) -> Iterator[Any]:
    """A bundle that refuses dark pictures, blurred ones, and whatever is very unlike the training pictures."""
    limits = [
        {"name": "brightness", "low": 40, "high": 240},
        {"name": "sharpness", "low": 2, "high": None},
        {"name": "lesion_contrast", "low": None, "high": None},
        {"name": "unfamiliarity", "low": None, "high": 1e9},
    ]
    write_bundle(
        tmp_path / "bundle",
        page_folder,
        deployed.variants / "float32",
        "float32",
        describe(limits={"measures": limits}),
    )
    with serving(tmp_path / "bundle") as address:
        context = browser.new_context(locale="en-US", accept_downloads=True)
        yield open_bundle(context, address)
        context.close()


def flat(grey: int) -> bytes:
    return png(Image.new("RGB", (300, 300), (grey, grey, grey)))


@pytest.mark.parametrize(("grey", "reason"), [(5, "too_dark"), (250, "too_bright"), (128, "blurred")])
def test_an_unfit_picture_is_refused_with_the_reason_and_what_to_do(guarded: Any, grey: int, reason: str) -> None:
    check(guarded, flat(grey))

    assert guarded.get_attribute("#refusal", "data-reason") == reason
    assert guarded.locator("#diagnoses").count() == 0
    assert guarded.locator("#verdict").count() == 0
    assert "What to do" in guarded.inner_text("main")


def test_a_file_that_is_no_picture_says_so(page: Any) -> None:
    page.set_input_files("#file", upload(b"this is a letter", "lesion.jpg", "image/jpeg"))
    page.wait_for_selector("#problem")

    assert page.get_attribute("#problem", "data-code") == "not_a_picture"
    assert "not a picture" in page.inner_text("#problem")


def batch(page: Any) -> None:
    files = [upload(picture_of(code), f"{code}.png") for code in CODES[:4]]
    page.set_input_files("#file", [*files, upload(flat(5), "=dark.png"), upload(b"letter", "letter.jpg", "image/jpeg")])
    page.wait_for_selector("#batch")
    page.wait_for_function("() => !document.querySelector('#batch [data-state=waiting]')")


def test_several_pictures_are_sorted_by_risk(guarded: Any) -> None:
    batch(guarded)
    states = guarded.eval_on_selector_all("#batch tbody tr", "rows => rows.map((row) => row.dataset.state)")
    risks = [percent(text) for text in guarded.locator("#batch tbody td.number").all_inner_texts() if text]

    assert states == ["judged"] * 4 + ["refused", "failed"]
    assert risks == sorted(risks, reverse=True)
    guarded.click("#batch tbody tr:first-child a")
    guarded.wait_for_selector("#verdict")


def saved_text(page: Any, button: str) -> str:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_a_batch_is_exported_as_csv_and_json(guarded: Any, deployed: Deployed) -> None:
    batch(guarded)
    rows = list(csv.DictReader(io.StringIO(saved_text(guarded, "#export-csv"))))
    document = json.loads(saved_text(guarded, "#export-json"))

    judged = [row for row in rows if row["state"] == "judged"]
    assert len(rows) == 6
    for row in judged:
        expected = expected_probabilities(deployed, picture_of(row["file"].removesuffix(".png")))
        found = [float(row[f"p_{code}"]) for code in CODES]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    # A name that a spreadsheet would run as a formula.
    assert rows[4]["file"] == "'=dark.png"
    assert rows[4]["reason"] == "too_dark blurred"
    assert rows[4]["refer"] == ""
    assert [picture["file"] for picture in document["pictures"]] == [row["file"].lstrip("'") for row in rows]
    assert document["pictures"][4]["diagnoses"] == []
    assert "not a diagnosis" in document["disclaimer"]


@pytest.mark.parametrize("language", ["en-US", "ru-RU", "kk-KZ"])
def test_the_report_is_one_page_of_paper(browser: Any, address: str, language: str) -> None:
    context = browser.new_context(locale=language)
    page = open_bundle(context, address)
    check(page, picture_of(MELANOMA))
    page.fill("#patient", "A. B., 1970")
    page.fill("#notes", "Grew within a year. " * 30)
    pdf = page.pdf(format="A4", prefer_css_page_size=True)
    context.close()

    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


def test_a_saved_report_stands_alone(page: Any, browser: Any, tmp_path: Path) -> None:
    check(page, picture_of(MELANOMA))
    page.fill("#patient", "<b>A. B.</b>")
    content = saved_text(page, "#save-report")
    file = tmp_path / "report.html"
    file.write_text(content)
    own = browser.new_page()
    asked: list[str] = []
    own.on("request", lambda request: asked.append(request.url))
    own.goto(file.as_uri())

    text = own.inner_text("body")
    assert "Decision support, not a diagnosis." in text
    assert "<b>A. B.</b>" in text
    assert own.evaluate("() => [...document.images].every((image) => image.naturalWidth > 100)")
    assert own.locator("script").count() == 0
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    own.close()


def databases(page: Any) -> list[str]:
    return page.evaluate("async () => (await indexedDB.databases()).map(({ name }) => name)")


def test_nothing_is_kept_unless_the_person_turns_it_on(page: Any) -> None:
    check(page, picture_of(MELANOMA))
    page.evaluate("() => { location.hash = '#/history'; }")
    page.wait_for_selector("main.history")

    assert databases(page) == []
    assert "History is off" in page.inner_text("main")


def test_a_kept_result_is_listed_and_erased_with_one_button(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/settings'; }")
    page.check("#keep-history")
    check(page, picture_of(MELANOMA))
    page.fill("#notes", "left shoulder")
    page.wait_for_timeout(1000)
    page.evaluate("() => { location.hash = '#/history'; }")
    page.wait_for_selector("#history li")
    assert page.locator("#history li").count() == 1
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector("#history canvas");
          return canvas.getContext("2d").getImageData(48, 48, 1, 1).data[3] === 255;
        }"""
    )
    page.click("#history summary")
    assert "left shoulder" in page.inner_text("#history")

    page.click("#erase-all")
    page.click("#confirm-yes")
    page.wait_for_selector("text=Everything was erased")
    assert databases(page) == []


def test_about_shows_figures_versions_and_limits(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/about'; }")
    page.wait_for_selector("#overall")

    assert "0.700" in page.inner_text("#overall")
    assert "0.600–0.800" in page.inner_text("#overall")
    assert page.locator("#per-class tbody tr").count() == len(CODES)
    assert "female" in page.inner_text("#subgroup-sex")
    assert "tan or darker" in page.inner_text("#subgroup-skin_tone")
    assert "nothing here tells how well the model does on dark skin" in page.inner_text("main")
    assert "0123456789abcdef" in page.inner_text("#versions")
    assert "light skin" in page.inner_text("main")


def test_this_device_is_measured_and_exported_as_one_row(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/about'; }")
    page.click("#measure")
    page.wait_for_selector("#device-figures", timeout=60_000)
    (row,) = csv.DictReader(io.StringIO(saved_text(page, "#export-device")))

    runs = np.array([float(row[f"run_{run}_ms"]) for run in range(1, 11)])
    assert float(row["mean_ms"]) == pytest.approx(runs.mean())
    assert float(row["sd_ms"]) == pytest.approx(runs.std(ddof=1))
    assert float(row["min_ms"]) == runs.min()
    assert float(row["max_ms"]) == runs.max()


@pytest.mark.parametrize(("browsers", "expected"), [("ru-RU", "ru"), ("kk-KZ", "kk"), ("de-DE", "en")])
def test_the_page_speaks_the_browsers_language(browser: Any, address: str, browsers: str, expected: str) -> None:
    context = browser.new_context(locale=browsers)
    page = open_bundle(context, address)

    assert page.get_attribute("html", "lang") == expected
    context.close()


def test_the_language_is_switched_and_remembered(page: Any) -> None:
    page.evaluate("() => { location.hash = '#/settings'; }")
    page.select_option("#language", "kk")
    assert page.inner_text("h1") == "Баптау"
    page.reload()
    page.wait_for_selector("h1")

    assert page.inner_text("h1") == "Баптау"
    assert page.get_attribute("html", "lang") == "kk"


def test_no_request_leaves_for_elsewhere_none_after_loading_and_none_carries_the_picture(
    browser: Any, address: str
) -> None:
    page = browser.new_page()
    asked: list[tuple[str, int]] = []
    complaints: list[str] = []
    page.context.on("request", lambda request: asked.append((request.url, len(request.post_data_buffer or b""))))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.evaluate(READY)
    # The shell is kept for use without a network, and faster back ends are tried, before the first picture.
    page.wait_for_selector("#status[data-offline=ready]")
    page.wait_for_timeout(8000)
    before = len(asked)
    check(page, picture_of(MELANOMA))
    page.wait_for_timeout(300)

    # The browser shows the tab's icon anew with each title.
    after = [url for url, _ in asked[before:] if not url.startswith("blob:") and not url.endswith("/icon.svg")]
    assert any(url.endswith(".wasm") for url, _ in asked)
    assert [url for url, _ in asked if not url.startswith((address, f"blob:{address.split('/', 3)[0]}"))] == []
    assert after == []
    assert [body for _, body in asked if body] == []
    assert complaints == []
    page.close()


def test_the_page_can_be_used_before_the_model_is_there(browser: Any, address: str) -> None:
    page = browser.new_page()
    held: list[Any] = []
    model_may_come = False
    page.context.route("**/model/*", lambda route: route.continue_() if model_may_come else held.append(route))
    page.goto(address)
    page.set_input_files("#file", upload(picture_of(MELANOMA)))
    page.wait_for_selector("canvas.viewport")
    page.click("#analyse")
    page.wait_for_selector("text=Waiting for the model")
    model_may_come = True
    for route in held:
        route.continue_()
    page.wait_for_selector("#verdict")
    page.close()
