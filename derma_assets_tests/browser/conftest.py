"""One small model, converted and bundled once, and a real browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derma_assets.browser import bundle, chromium, graph_model, web_build
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, MALIGNANT, MELANOMA
from derma_assets.settings import settings
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.mobilenet import build_classifier

SIZE = 96
TEMPERATURE = 1.3
THRESHOLDS = {"melanoma": 0.4, "referral": 0.35}


@dataclass(frozen=True)
class Deployed:
    """The model under test in all its forms.

    Attributes:
        trained: As it would come out of training, with normalisation statistics that matter.
        folded: Its deployed twin.
        variants: Folder of the converted variants.
    """

    trained: Any
    folded: Any
    variants: Path


@pytest.fixture(scope="session")
def trained() -> Any:
    keras = import_keras()
    model = build_classifier(SIZE, alpha=0.25, weights="random", trainable_layers=86, dropout=0.25, seed=0)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.get_weights()[0].shape
            gamma, beta = rng.uniform(0.5, 1.5, channels), rng.normal(0, 0.3, channels)
            mean, variance = rng.normal(0, 0.3, channels), rng.uniform(0.3, 2, channels)
            layer.set_weights([gamma, beta, mean, variance])
    kernel, bias = model.get_layer("logits").get_weights()
    # Logits far enough apart that a wrong order or a missing bias shows.
    model.get_layer("logits").set_weights([kernel * 4, rng.normal(0, 1, bias.shape)])
    return model


@pytest.fixture(scope="session")
def deployed(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folded = graph_model.fold_batch_normalisation(trained)
    variants = tmp_path_factory.mktemp("converted") / "variants"
    graph_model.export_variants(folded, variants)
    return Deployed(trained, folded, variants)


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


def describe(dataset: str = "sample", **changes: Any) -> dict[str, Any]:
    """Return a manifest's description as the asset would ask for it."""
    arguments: dict[str, Any] = {
        "size": SIZE,
        "temperature": {"temperature": TEMPERATURE},
        "operating_points": {
            name: {"threshold": threshold, "sensitivity": 0.9, "specificity": 0.8}
            for name, threshold in THRESHOLDS.items()
        },
        "overall_metrics": pd.DataFrame({"metric": ["accuracy"], "value": [0.7], "low": [0.6], "high": [0.8]}),
        "per_class_metrics": pd.DataFrame({"dx": [MELANOMA], "metric": ["recall"], "value": [np.nan]}),
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
