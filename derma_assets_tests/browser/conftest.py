"""One small model, converted and bundled once, and a real browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derma_assets.browser import bundle, chromium, conversion, graph_model, web_build
from derma_assets.browser.bundle import Findings
from derma_assets.browser.quantisation import Reference, reference_of
from derma_assets.calibration.familiarity import FamiliarityModel, fit_familiarity
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, MALIGNANT, MELANOMA
from derma_assets.settings import settings
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.classifier import build_classifier
from derma_assets.training.predictor import feature_extractor
from derma_assets_tests.small_study import LAYER

SIZE = 96
TEMPERATURE = 1.3
THRESHOLDS = {"melanoma": 0.4, "referral": 0.35}
VIEW_COUNTS = (1, 2, 8)
MEASURES = ("brightness", "sharpness", "lesion_contrast", "unfamiliarity")


@dataclass(frozen=True)
class Deployed:
    """The model under test in all its forms.

    Attributes:
        trained: As it would come out of training, with normalisation statistics that matter.
        familiarity: Fitted to the pictures `pixels`.
        folded: Its deployed twin.
        variants: Folder of the converted variants.
    """

    trained: Any
    familiarity: FamiliarityModel
    folded: Any
    variants: Path


@pytest.fixture(scope="session")
def trained(pixels: np.ndarray) -> Any:
    keras = import_keras()
    model = build_classifier(SIZE, alpha=0.25, weights="random", trainable_layers=86, dropout=0.25, seed=0)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.3, beta.shape), mean, variance])
            # One look at the pictures, and the statistics are theirs: with others the signal dies on its way.
            layer.momentum = 0.0
    model(pixels.astype(np.float32), training=True)
    kernel, bias = model.get_layer("logits").get_weights()
    # Random layers, unlike trained ones, multiply what rounding does: less of it, and a bias large enough to be missed.
    model.get_layer("logits").set_weights([kernel * 0.4, rng.normal(0, 0.4, bias.shape)])
    return model


@pytest.fixture(scope="session")
def deployed(trained: Any, pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    familiarity = fit_familiarity(feature_extractor(trained, LAYER)(pixels), LAYER)
    folded = graph_model.deployed_model(trained, familiarity)
    variants = tmp_path_factory.mktemp("converted") / "variants"
    conversion.export_variants(folded, variants, pixels)
    return Deployed(trained, familiarity, folded, variants)


@pytest.fixture(scope="session")
def reference(deployed: Deployed, pixels: np.ndarray) -> Reference:
    """What Keras computes for `pixels`."""
    return reference_of(deployed.trained, deployed.familiarity, pixels)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """(36, 96, 96, 3) uint8: generated lesions of every diagnosis, and noise."""
    lesions = [draw_picture(code, seed, 0).resize((SIZE, SIZE)) for seed in range(4) for code in CODES]
    noise = np.random.default_rng(1).integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)
    return np.concatenate([np.stack([np.asarray(lesion) for lesion in lesions]), noise])


@pytest.fixture(scope="session")
def page_folder() -> Path:
    """The built page; kept between runs, since it depends on nothing but its sources."""
    return web_build.build_page(settings().root / "build" / "web")


@pytest.fixture(scope="session")
def description() -> dict[str, Any]:
    return describe()


def calibrated_views(count: int, temperature: Any = TEMPERATURE, thresholds: Any = None) -> dict[str, Any]:
    """Return what `view_calibration` has on one number of views."""
    points = {
        name: {"threshold": threshold, "sensitivity": 0.9, "specificity": 0.8}
        for name, threshold in (thresholds or THRESHOLDS).items()
    }
    return {"count": count, "temperature": temperature, "operating_points": points}


def made_up_findings() -> Findings:
    """Return tables as the evaluation makes them, of a row or two each."""
    row = {"value": 0.7, "low": 0.6, "high": 0.8}
    of_melanoma = {"dx": MELANOMA, "name": "Melanoma", "metric": "recall", "images": 3, "lesions": 2}
    refused = {"pictures": 100, "refused": 1, "share": 0.01, "low": 0.0, "high": 0.05, "blurred": 1}
    return Findings(
        overall=pd.DataFrame([{"metric": "accuracy", **row}]),
        per_class=pd.DataFrame([{**of_melanoma, **row, "value": np.nan}]),
        subgroups=pd.DataFrame(
            [
                {"attribute": attribute, "group": group, "metric": "accuracy", **row, "images": 3, "lesions": 2}
                for attribute, group in (("sex", "female"), ("skin_tone", "tan_or_darker"))
            ]
        ),
        views=pd.DataFrame([{"count": count, "metric": "accuracy", **row} for count in VIEW_COUNTS]),
        refusals=pd.DataFrame([{"kind": "good", "bad": False, **refused}, {"kind": "blurred", "bad": True, **refused}]),
    )


def describe(dataset: str = "sample", **changes: Any) -> dict[str, Any]:
    """Return a manifest's description as the asset would ask for it; no picture is refused, and one view is used."""
    arguments: dict[str, Any] = {
        "size": SIZE,
        "view_calibration": {"views": [calibrated_views(count) for count in VIEW_COUNTS]},
        "time_budget_ms": 0,
        "limits": {"measures": [{"name": name, "low": None, "high": None} for name in MEASURES]},
        "findings": made_up_findings(),
        "data_versions": {"trained_model": "0123456789abcdef"},
    }
    return bundle.describe(dataset, **(arguments | changes))


@pytest.fixture(scope="session")
def bundle_folder(
    deployed: Deployed, page_folder: Path, description: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("bundled") / "bundle"
    bundle.write_bundle(folder, page_folder, deployed.variants / "float32", "float32", description)
    return folder


@pytest.fixture(scope="session")
def browser_program() -> Path:
    program = chromium.find_browser(settings().browser)
    if program is None:
        pytest.fail(f"these tests need a real browser. {chromium.ADVICE}")
    return program


# Closed after each module: Playwright's event loop would be in the way of other tests.
@pytest.fixture(scope="module")
def browser(browser_program: Path) -> Iterator[Any]:
    with chromium.launched(browser_program) as running:
        yield running


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the calibrated probabilities of (7,) logits."""
    scaled = np.exp(logits.astype(np.float64) / TEMPERATURE)
    return scaled / scaled.sum()


def refers(shares: np.ndarray) -> bool:
    """Return whether either operating point is reached."""
    referral = sum(shares[CODES.index(code)] for code in MALIGNANT)
    return bool(referral >= THRESHOLDS["referral"] or shares[CODES.index(MELANOMA)] >= THRESHOLDS["melanoma"])
