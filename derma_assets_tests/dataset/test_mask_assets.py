"""Masks and skin tone run by Dagster: what is stored, what is not done again, and what there is to look at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.dataset import assets, mask_assets
from derma_assets.dataset.lesion_masks import LesionMasks
from derma_assets.settings import settings
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.dataset.test_lesion_masks import disc

NAMES = ["lesion_masks", "skin_tone"]


@pytest.fixture(autouse=True)
def _settings(ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings that read `ham_folder`, ten of whose pictures get a mask, and write below a fresh folder."""
    masks = ham_folder / "HAM10000_segmentations_lesion_tschandl" / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir(parents=True)
    wide = np.pad(disc(45, 22, 22, 12), ((0, 0), (8, 7)))
    for number in range(10):
        Image.fromarray(wide).save(masks / f"ISIC_{number:07d}_segmentation.png")
    values = {"DATASET": "ham10000", "HAM10000_DIR": str(ham_folder), "DATA_DIR": str(tmp_path), "IMAGE_SIZE": "32"}
    for name, value in values.items():
        monkeypatch.setenv(f"DERMA_{name}", value)
    settings.cache_clear()
    yield
    settings.cache_clear()


def run() -> dict[str, Any]:
    """Run the stage; return each asset's metadata and its data version."""
    result = dg.materialize(
        [*dg.load_assets_from_modules([assets, mask_assets])], resources=io_managers(settings().store)
    )
    found: dict[str, Any] = {}
    for name in NAMES:
        (event,) = result.asset_materializations_for_node(name)
        found[name] = {key: value.value for key, value in event.metadata.items()}
        found[name]["version"] = (event.tags or {})["dagster/data_version"]
    return found


def test_masks_and_tones_of_all_pictures_are_stored_and_made_once() -> None:
    first = run()
    masks = LesionMasks.open(settings().store / "lesion_masks")
    assert masks.masks.shape == (28, 32, 32)
    assert first["lesion_masks"]["given"] == 10
    assert first["lesion_masks"]["estimated"] == 18
    assert first["lesion_masks"]["compared_lesions"] == 5, "two pictures a lesion"
    assert first["lesion_masks"]["dice_low"] <= first["lesion_masks"]["dice"] <= first["lesion_masks"]["dice_high"]
    tones = pd.read_parquet(settings().store / "skin_tone.parquet")
    assert len(tones) == first["skin_tone"]["pictures"] == 28
    assert 0 <= first["skin_tone"]["off_scale"] <= 1
    for name, pictures in (("lesion_masks", ["outlines", "agreement"]), ("skin_tone", ["histogram", "examples"])):
        assert all("data:image/" in first[name][key] for key in pictures)
        assert "not a diagnosis" in first[name]["note"]
    second = run()
    assert [second[name]["reused"] for name in NAMES] == [True, True]
    assert [second[name]["version"] for name in NAMES] == [first[name]["version"] for name in NAMES]


def test_a_changed_mask_changes_what_is_made_from_it(ham_folder: Path) -> None:
    first = run()
    (mask,) = ham_folder.rglob("ISIC_0000003_segmentation.png")
    Image.fromarray(np.ones((45, 60), dtype=bool)).save(mask)
    second = run()
    assert second["lesion_masks"]["made"] == 1
    assert all(second[name]["version"] != first[name]["version"] for name in NAMES)
