"""A fresh clone with a release and no run: `make app` serves the released model, and it judges a picture."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derma_assets.browser.bundle import read_manifest
from derma_assets.browser.chromium import open_bundle
from derma_assets.browser.quantisation import logits_of
from derma_assets.calibration.temperature import softmax
from derma_assets.dataset.preprocessing import decode, model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.release.write import write_release
from derma_assets_tests.browser.conftest import SIZE, Deployed
from derma_assets_tests.browser.test_page import check, png, shown_codes
from derma_assets_tests.release.made_up_store import DATE, make_store, settings_for
from derma_assets_tests.running import ROOT, environment

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Served:
    """What the command said before it waited, and the page's address."""

    said: str
    address: str


@pytest.fixture(scope="module")
def clone(deployed: Deployed, page_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run, clone = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("clone")
    make_store(run / "store/ham10000", deployed.trained, page_folder, deployed.variants, SIZE)
    write_release(settings_for(run), clone / "release", DATE)
    return clone


@pytest.fixture(scope="module")
def app(clone: Path) -> Iterator[Served]:
    words = [sys.executable, "-m", "derma_assets.browser.serve", "--port", "0"]
    with subprocess.Popen(words, cwd=ROOT, env=environment(clone), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            said += line
            if line.startswith("Open "):
                break
        yield Served(said, re.findall(r"http://\S+", said)[-1])
        server.kill()


def test_it_says_that_it_serves_the_release(app: Served) -> None:
    assert f"Serving the release of {DATE}: HAM10000" in app.said
    assert re.search(r"accuracy 0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\) on \d+ test pictures", app.said)
    assert "make demo" in app.said


def test_a_picture_is_judged_as_the_released_model_does(
    app: Served, clone: Path, deployed: Deployed, browser: Any
) -> None:
    content = png(draw_picture(MELANOMA, 3, 0))
    views = read_manifest(clone / "build/released_bundle")["views"]
    logits = logits_of(deployed.trained, model_input(decode(content), SIZE)[np.newaxis])
    expected = softmax(logits, views[0]["temperature"])[0]

    context = browser.new_context(locale="en-US")
    page = open_bundle(context, app.address)
    check(page, content)

    assert shown_codes(page) == [CODES[index] for index in np.argsort(-expected)[:3]]
    assert page.locator("#synthetic").count() == 0
    context.close()
