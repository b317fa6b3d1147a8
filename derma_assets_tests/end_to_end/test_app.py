"""The bundle of a finished run, served as `make app` serves it and used in a real browser."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.browser.chromium import ADVICE, find_browser, launched, open_bundle
from derma_assets.calibration.temperature import softmax
from derma_assets.settings import settings
from derma_assets.training.predictions import LOGIT_COLUMNS
from derma_assets_tests.end_to_end.conftest import SampleRun
from derma_assets_tests.running import free_port, served


@pytest.fixture
def app(sample_run: SampleRun) -> Iterator[str]:
    port = str(free_port())
    words = ("python", "-m", "derma_assets.browser.serve", "--port", port)
    with served(*words, env=sample_run.env, address=f"http://127.0.0.1:{port}/") as address:
        yield address


_PROBABILITIES = """async ([encoded, type]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const { findings } = await window.derma.analyse(new Blob([bytes], { type }), { views: 1 });
  return findings.probabilities;
}"""
# The bundle's weights are eight bits wide.
QUANTISATION = 0.1


def test_pictures_are_classified_as_keras_does(sample_run: SampleRun, app: str) -> None:
    browser_path = find_browser(settings().browser)
    assert browser_path is not None, ADVICE
    predictions = pd.read_parquet(sample_run.store / "predictions.parquet")
    test = predictions[predictions["split"] == "test"].iloc[::5]
    paths = pd.read_parquet(sample_run.store / "raw_images.parquet").set_index("image_id")["path"]
    temperature = json.loads((sample_run.store / "calibrated_temperature.json").read_text())["temperature"]
    expected = softmax(test[LOGIT_COLUMNS].to_numpy(), temperature)
    with launched(browser_path) as browser:
        page = open_bundle(browser, app)
        assert "not for any real use" in page.inner_text("#synthetic")
        for image_id, probabilities in zip(test["image_id"], expected, strict=True):
            content = base64.b64encode(Path(paths[image_id]).read_bytes()).decode()
            found = page.evaluate(_PROBABILITIES, [content, "image/jpeg"])
            np.testing.assert_allclose(found, probabilities, rtol=0, atol=QUANTISATION)


def test_a_picture_is_framed_and_judged(sample_run: SampleRun, app: str) -> None:
    browser_path = find_browser(settings().browser)
    assert browser_path is not None, ADVICE
    path = pd.read_parquet(sample_run.store / "raw_images.parquet")["path"].iloc[0]
    with launched(browser_path) as browser:
        page = open_bundle(browser, app)
        page.set_input_files("#file", path)
        page.wait_for_selector("canvas.viewport")
        page.click("#analyse")
        page.wait_for_selector("#verdict, #refusal")
        page.wait_for_selector("#status[data-offline=ready]")
