"""The page in a real browser, used as a person would."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from derma_assets.browser.bundle import write_bundle
from derma_assets.browser.chromium import open_bundle
from derma_assets.browser.parity import PictureFile, predict_in_page, preprocess_in_page
from derma_assets.browser.quantisation import logits_of
from derma_assets.browser.serve import serving
from derma_assets.dataset.preprocessing import decode, model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, DIAGNOSES, DISCLAIMER, MELANOMA
from derma_assets.errors import UserError
from derma_assets_tests.browser.conftest import SIZE, Deployed, describe, probabilities, refers


@pytest.fixture(scope="module")
def address(bundle_folder: Path) -> Iterator[str]:
    with serving(bundle_folder.parent) as root:
        # In a folder below the host's root, as a clinic may well put it.
        yield f"{root}{bundle_folder.name}/"


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    opened = open_bundle(browser, address)
    yield opened
    opened.close()


def picture_of(code: str, seed: int = 3) -> bytes:
    buffer = io.BytesIO()
    draw_picture(code, seed, 0).save(buffer, "PNG")
    return buffer.getvalue()


def choose(page: Any, content: bytes, name: str = "lesion.png", mime_type: str = "image/png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": mime_type, "buffer": content})


def expected_probabilities(deployed: Deployed, content: bytes) -> np.ndarray:
    return probabilities(logits_of(deployed.trained, model_input(decode(content), SIZE)[np.newaxis])[0])


@pytest.mark.parametrize("code", CODES)
def test_a_chosen_picture_shows_pythons_findings(page: Any, deployed: Deployed, code: str) -> None:
    content = picture_of(code)
    expected = expected_probabilities(deployed, content)
    choose(page, content)
    page.wait_for_selector("#result:visible")

    codes = page.eval_on_selector_all("#diagnoses button", "all => all.map(one => one.dataset.code)")
    shown = page.locator("#diagnoses .probability").all_inner_texts()
    best = np.argsort(-expected)[:3]
    assert codes == [CODES[index] for index in best]
    assert [float(text.removesuffix(" %")) for text in shown] == pytest.approx(list(expected[best] * 100), abs=0.051)
    assert page.inner_text("#verdict-text") == ("Refer" if refers(expected) else "Do not refer")


@pytest.mark.parametrize("target", ["#drop", "footer"])
def test_a_dropped_picture_shows_pythons_findings(page: Any, deployed: Deployed, target: str) -> None:
    """On the field or beside it: the browser would otherwise leave the page for the picture."""
    content = picture_of(MELANOMA)
    transfer = page.evaluate_handle(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "lesion.png", { type: "image/png" }));
          return transfer;
        }""",
        list(content),
    )
    page.dispatch_event(target, "drop", {"dataTransfer": transfer})
    page.wait_for_selector("#result:visible")

    best = CODES[int(np.argmax(expected_probabilities(deployed, content)))]
    assert page.get_attribute("#diagnoses button", "data-code") == best


def test_probabilities_equal_pythons(page: Any, deployed: Deployed) -> None:
    content = picture_of(MELANOMA)
    found = page.evaluate(
        "async (bytes) => window.derma.analyse(new Blob([new Uint8Array(bytes)], {type: 'image/png'}))", list(content)
    )

    np.testing.assert_allclose(found["probabilities"], expected_probabilities(deployed, content), rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", ["at", "above"])
@pytest.mark.parametrize("rule", ["melanoma", "referral"])
def test_a_score_at_the_threshold_is_referred_and_below_is_not(
    page: Any, deployed: Deployed, rule: str, side: str, browser: Any, page_folder: Path, tmp_path: Path
) -> None:
    """One rule's threshold is put at, or just above, the picture's own score; the other is out of reach."""
    content = picture_of(MELANOMA)
    read = "async (bytes) => window.derma.analyse(new Blob([new Uint8Array(bytes)], {type: 'image/png'}))"
    scores = {found["point"]["name"]: found["score"] for found in page.evaluate(read, list(content))["rules"]}
    score = scores["Melanoma" if rule == "melanoma" else "Any malignant diagnosis"]
    points = {name: {"threshold": 2.0} for name in ("melanoma", "referral")}
    points[rule] = {"threshold": score if side == "at" else float(np.nextafter(score, 1))}
    write_bundle(
        tmp_path / "bundle", page_folder, deployed.variants / "float32", "float32", describe(operating_points=points)
    )
    with serving(tmp_path / "bundle") as address:
        own = open_bundle(browser, address)
        assert own.evaluate(read, list(content))["refer"] is (side == "at")
        own.close()


def test_banners_and_versions_are_shown(page: Any) -> None:
    assert page.inner_text("#disclaimer") == DISCLAIMER
    assert "not for any real use" in page.inner_text("#synthetic")
    page.click("summary")
    assert "0123456789abcdef" in page.inner_text("#about")


def test_a_bundle_of_real_data_has_no_synthetic_banner(
    browser: Any, page_folder: Path, deployed: Deployed, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "bundle", page_folder, deployed.variants / "uint8", "uint8", describe("ham10000"))
    with serving(tmp_path / "bundle") as address:
        page = open_bundle(browser, address)
        assert not page.is_visible("#synthetic")
        assert page.is_visible("#disclaimer")
        page.close()


def test_everything_comes_from_the_bundle_itself(browser: Any, address: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.evaluate("() => window.derma.ready")
    choose(page, picture_of(MELANOMA))
    page.wait_for_selector("#result:visible")
    page.wait_for_timeout(200)

    assert any(url.endswith(".wasm") for url in asked)
    assert [url for url in asked if not url.startswith(address)] == []
    assert complaints == []
    page.close()


def test_the_policy_forbids_other_hosts(page: Any) -> None:
    refused = page.evaluate(
        "async () => { try { await fetch('http://127.0.0.1:9/'); return ''; } catch (error) { return String(error); } }"
    )
    policy = page.get_attribute("meta[http-equiv]", "content")

    assert refused
    assert "connect-src 'self'" in policy
    assert "script-src 'self' 'wasm-unsafe-eval'" in policy


@pytest.mark.parametrize("which", ["model.json", "*.bin"])
def test_a_flipped_byte_in_the_model_is_refused(browser: Any, bundle_folder: Path, tmp_path: Path, which: str) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bundle_folder, changed)
    (file,) = (changed / "model").glob(which)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with serving(changed) as address:
        with pytest.raises(UserError, match=f"{file.name} is damaged or was changed"):
            open_bundle(browser, address)
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#problem:visible")
        assert "not used" in page.inner_text("#problem")
        assert not page.is_visible("#choose")
        page.close()


def test_a_missing_model_file_is_refused(browser: Any, bundle_folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bundle_folder, changed)
    (changed / "model" / "model.json").unlink()

    with serving(changed) as address, pytest.raises(UserError, match="incomplete"):
        open_bundle(browser, address)


def test_a_file_that_is_no_picture_is_refused_and_hides_earlier_findings(page: Any) -> None:
    choose(page, picture_of(MELANOMA))
    page.wait_for_selector("#result:visible")
    choose(page, b"this is a letter", "lesion.jpg", "image/jpeg")
    page.wait_for_selector("#problem:visible")

    assert "not a picture" in page.inner_text("#problem")
    assert not page.is_visible("#result")

    choose(page, picture_of(MELANOMA))
    page.wait_for_selector("#result:visible")
    assert not page.is_visible("#problem")


def test_the_heat_map_is_drawn_and_can_be_hidden(page: Any) -> None:
    def drawn() -> str:
        return page.evaluate("() => document.getElementById('picture').toDataURL()")

    choose(page, picture_of(MELANOMA))
    page.wait_for_selector("#result:visible")
    first = drawn()
    page.click("#diagnoses li:nth-child(2) button")
    second = drawn()
    page.uncheck("#heat")
    plain = drawn()

    assert first != plain
    assert first != second
    assert page.inner_text("#heat-of") == ""
    assert page.get_attribute("#diagnoses li:nth-child(2) button", "aria-pressed") == "true"


def test_activation_maps_equal_pythons(page: Any, deployed: Deployed, pixels: np.ndarray) -> None:
    expected = deployed.folded.predict(pixels[:4].astype(np.float32), verbose=0)["cams"]

    np.testing.assert_allclose(predict_in_page(page, pixels[:4]).cams, expected, rtol=0, atol=1e-4)


def test_labels_come_from_the_manifest(page: Any) -> None:
    choose(page, picture_of(MELANOMA))
    page.wait_for_selector("#result:visible")
    names = page.locator("#diagnoses .name").all_inner_texts()

    assert set(names) <= {diagnosis.name for diagnosis in DIAGNOSES}


def test_a_large_photograph_is_reduced_as_python_does_it(page: Any) -> None:
    coarse = np.random.default_rng(5).integers(0, 256, (12, 16, 3), np.uint8)
    photograph = Image.fromarray(coarse).resize((3000, 2250), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    photograph.save(buffer, "PNG", compress_level=1)
    tensor = preprocess_in_page(page, PictureFile(buffer.getvalue(), "image/png", exact=True), SIZE)

    np.testing.assert_array_equal(tensor, model_input(photograph, SIZE))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_phone(browser: Any, address: str, scheme: str, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.evaluate("() => window.derma.ready")
    choose(page, picture_of(MELANOMA))
    page.wait_for_selector("#result:visible")
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    context.close()
