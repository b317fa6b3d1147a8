import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from derma_assets.browser.web_build import SOURCES, run_node
from derma_assets.errors import InputError
from derma_assets.storage.io_managers import io_managers
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training import assets
from derma_assets.training.predictions import LOGIT_COLUMNS
from derma_assets.training.predictor import Predictor, feature_extractor
from derma_assets.training.views import COUNTS, changed_calls, dihedral_views
from derma_assets_tests.small_study import model, pictures, splits, upstream

NUMBERED = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)


def test_the_views_in_their_order() -> None:
    views = list(dihedral_views(NUMBERED))
    assert len(views) == 8
    for turns in range(4):
        for picture in range(2):
            np.testing.assert_array_equal(views[turns][picture], np.rot90(NUMBERED[picture], turns))
            np.testing.assert_array_equal(views[4 + turns][picture], np.rot90(np.fliplr(NUMBERED[picture]), turns))
    assert len({view.tobytes() for view in views}) == 8
    np.testing.assert_array_equal(views[1][0][0], NUMBERED[0][:, -1])


def test_the_page_makes_the_same_views(tmp_path: Path) -> None:
    (tmp_path / "views.mjs").write_text(
        f"""
        import {{ dihedralViews }} from {json.dumps((SOURCES / "src/engine/views.ts").as_uri())};
        console.log(JSON.stringify([...dihedralViews({NUMBERED[1].ravel().tolist()}, 3, 8)]));
        """
    )
    found = np.array(json.loads(run_node(tmp_path, "views.mjs"))).reshape(8, 3, 3, 3)
    np.testing.assert_array_equal(found, [view[1] for view in dihedral_views(NUMBERED)])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("views")
    result = dg.materialize(
        [*upstream(folder), assets.predictions, assets.view_predictions], resources=io_managers(folder / "store")
    )
    (materialized,) = result.asset_materializations_for_node("view_predictions")
    assert 0 <= materialized.metadata["changed_by_8_views"].value <= 1
    return result.output_for_node("view_predictions")


def test_logits_are_the_mean_over_the_first_views(table: pd.DataFrame) -> None:
    held_out = (splits()["split"] != "train").to_numpy()
    views = [model()(view.astype(np.float32), training=False).numpy() for view in dihedral_views(pictures()[held_out])]
    assert table["views"].unique().tolist() == list(COUNTS)
    for count in COUNTS:
        rows = table[table["views"] == count]
        assert rows["image_id"].tolist() == splits().loc[held_out, "image_id"].tolist()
        np.testing.assert_allclose(rows[LOGIT_COLUMNS], np.mean(views[:count], axis=0), atol=1e-5)


def test_changed_calls() -> None:
    logits = pd.DataFrame(np.zeros((6, 7)), columns=LOGIT_COLUMNS).assign(views=[1, 1, 2, 2, 4, 4])
    logits.loc[[0, 1, 3], LOGIT_COLUMNS[2]] = 1
    logits.loc[[2, 4, 5], LOGIT_COLUMNS[3]] = 1
    assert changed_calls(logits) == {2: 0.5, 4: 1.0}


def test_features_are_the_layers_output_averaged() -> None:
    chosen = np.array([4, 1, 2])
    features = feature_extractor(model(), "conv_pw_11_relu")(pictures(), chosen)
    inside: Any = import_keras().Model(model().input, model().get_layer("conv_pw_11_relu").output)
    expected = inside(pictures()[chosen].astype(np.float32), training=False).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert feature_extractor(model(), "conv_pw_11_relu")(pictures()[:0]).shape == (0, 128)


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no layer conv_pw_99"):
        feature_extractor(model(), "conv_pw_99")


def test_a_predictor_gives_what_the_model_says() -> None:
    some = pictures()[:70]
    expected = model()(some.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(Predictor(model())(some), expected, atol=1e-5)
