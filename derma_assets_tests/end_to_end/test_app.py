"""The bundle of a finished run, served as `make app` serves it and used in a real browser."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from derma_assets.browser.chromium import ADVICE, find_browser, launched, open_bundle
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
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


def test_a_generated_picture_is_classified_as_keras_does(sample_run: SampleRun, app: str) -> None:
    browser_path = find_browser(settings().browser)
    assert browser_path is not None, ADVICE
    predictions = pd.read_parquet(sample_run.store / "predictions.parquet")
    test = predictions[predictions["split"] == "test"].iloc[::20]
    paths = pd.read_parquet(sample_run.store / "raw_images.parquet").set_index("image_id")["path"]
    temperature = json.loads((sample_run.store / "calibrated_temperature.json").read_text())["temperature"]
    expected = softmax(test[LOGIT_COLUMNS].to_numpy(), temperature)
    with launched(browser_path) as browser:
        for image_id, probabilities in zip(test["image_id"], expected, strict=True):
            page = open_bundle(browser, app)
            assert "not for any real use" in page.inner_text("#synthetic")
            page.set_input_files("#file", paths[image_id])
            page.wait_for_selector("#result:visible")
            shown = page.eval_on_selector_all("#diagnoses button", "all => all.map(one => one.dataset.code)")
            assert shown == [CODES[index] for index in np.argsort(-probabilities)[:3]]
            page.close()
