import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from derma_assets.browser.variants import write_variants
from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.calibration.input_guard import write_guard
from derma_assets.diagnoses import DISCLAIMER
from derma_assets.evaluation import card_assets
from derma_assets.evaluation.model_card.gather import AS_THEY_ARE, INPUTS
from derma_assets.settings import settings
from derma_assets.storage.io_managers import io_managers
from derma_assets.training.recipe import DEFAULT
from derma_assets_tests import small_study
from derma_assets_tests.evaluation.model_card import made_up
from derma_assets_tests.release.made_up_store import make_store
from derma_assets_tests.small_study import LAYER, stand_ins


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.ExecuteInProcessResult]:
    data_dir = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"DATASET": "ham10000", "DATA_DIR": str(data_dir), "RECIPE": "paper"}.items():
            patch.setenv(f"DERMA_{name}", value)
        settings.cache_clear()
        upstream = _upstream(data_dir)
        # Beside the bundle, where the check leaves it.
        settings().store.mkdir(parents=True, exist_ok=True)
        shutil.copy(data_dir / "made_up" / "browser_parity.json", settings().store)
        yield dg.materialize(
            [*upstream, _trained_model(), card_assets.model_card], resources=io_managers(settings().store)
        )
    settings.cache_clear()


def _upstream(folder: Path) -> list[dg.AssetsDefinition]:
    """Return stand-ins of everything but the model; the bundle and the converted models are a made-up release's."""
    evidence, store = made_up.evidence(), make_store(folder / "made_up")
    write_variants(store / "tfjs_model", made_up.variants_table().replace("uint8", "float16"), {})
    evidence.data_quality.write(folder / "quality")
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    write_guard(folder / "guard", dataclasses.replace(made_up.guard(), familiarity=fit_familiarity(features, LAYER)))
    documents = {"calibrated_temperature", "operating_points", "view_calibration"}
    values: dict[str, tuple[str, Any]] = {
        name: ("document" if name in documents else "table", getattr(evidence, name)) for name in AS_THEY_ARE
    }
    folders = {"data_quality": folder / "quality", "input_guard": folder / "guard"}
    folders |= {name: store / name for name in ("tfjs_model", "tfjs_bundle")}
    return stand_ins({**values, **{name: ("folder", path) for name, path in folders.items()}})


def _trained_model() -> dg.AssetsDefinition:
    """Return a stand-in of the model, with the record that its training leaves."""

    @dg.asset(io_manager_key="keras_model")
    def trained_model() -> dg.MaterializeResult:
        record = {"recipe": DEFAULT.model_dump(), "backbone": {"weights": "imagenet"}}
        version = card_assets.fingerprint_arrays(small_study.model().get_weights())
        return dg.MaterializeResult(
            value=small_study.model(),
            metadata={name: dg.MetadataValue.json(value) for name, value in record.items()},
            data_version=dg.DataVersion(version),
        )

    return trained_model


def test_both_files_are_stored_and_their_paths_shown(run: dg.ExecuteInProcessResult) -> None:
    (materialized,) = run.asset_materializations_for_node("model_card")
    page, text = (Path(str(materialized.metadata[name].value)) for name in ("page", "markdown"))
    assert page == settings().store / "model_card" / "model_card.html"
    assert materialized.metadata["html_bytes"].value == page.stat().st_size
    assert text.read_text().startswith("# Model card")
    assert DISCLAIMER in str(materialized.metadata["note"].value)
    assert "Tested on" in str(materialized.metadata["in_short"].value)


def test_the_recipe_is_the_training_runs_not_the_settings_of_today(run: dg.ExecuteInProcessResult) -> None:
    text = (settings().store / "model_card" / "model_card.md").read_text()
    assert "**The recipe `default`, as the training run recorded it.**" in text


def test_every_asset_behind_it_is_an_input_and_named_with_its_data_version(run: dg.ExecuteInProcessResult) -> None:
    text = (settings().store / "model_card" / "model_card.md").read_text()
    assert {key.to_user_string() for key in card_assets.model_card.keys_by_input_name.values()} == set(INPUTS)
    listed = text[text.index('<a id="provenance">') :]
    assert all(f"| `{name}` " in listed for name in INPUTS)
    version = card_assets.fingerprint_arrays(small_study.model().get_weights())
    assert f"`{version}`" in listed
    assert "In a real browser against Keras (check `browser_parity` of the bundle): **passed**" in text
