import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight

from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.errors import InputError
from derma_assets.evaluation.fold_assets import fold_model
from derma_assets.settings import settings
from derma_assets.training.assets import trained_classifier
from derma_assets.training.class_weights import class_weights
from derma_assets.training.recipe import PAPER, RECIPES, Augmentation, Recipe, named_recipe, recipe_version


def test_the_paper_recipe_is_what_the_paper_describes() -> None:
    assert (PAPER.optimizer, PAPER.learning_rate, PAPER.min_learning_rate) == ("adam", 0.01, 6.25e-4)
    assert (PAPER.epochs, PAPER.early_stopping, PAPER.dropout) == (30, 5, 0.25)
    assert (PAPER.augmentation.rotation_degrees, PAPER.augmentation.shift, PAPER.augmentation.flips) == (180, 0.1, True)


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        Augmentation(rotations=10)  # type: ignore[call-arg]


def test_recipes_are_found_by_their_name() -> None:
    assert {name: recipe.name for name, recipe in RECIPES.items()} == {
        name: name for name in ("paper", "default", "continued", "sample")
    }


def test_a_named_recipe_takes_another_number_of_epochs() -> None:
    assert named_recipe("paper") == PAPER
    assert named_recipe("paper", 3).epochs == 3
    with pytest.raises(InputError, match="default"):
        named_recipe("papper")


def test_a_recipe_that_is_edited_has_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {name: recipe_version(name) for name in RECIPES}
    assert len(set(versions.values())) == len(RECIPES)
    stronger = PAPER.augmentation.model_copy(update={"shift": 0.11})
    monkeypatch.setitem(RECIPES, "paper", PAPER.model_copy(update={"augmentation": stronger}))
    assert recipe_version("paper") != versions["paper"]
    assert recipe_version("default") == versions["default"]


def test_the_recipes_version_is_in_that_of_what_it_trains() -> None:
    version = recipe_version(settings().recipe)
    for trained in (trained_classifier, fold_model):
        assert all(version in str(code) for code in trained.code_versions_by_key.values())


@pytest.mark.parametrize("changes", [{"average_decay": 0.9}, {"lower_layers_rate": 0.5}], ids=str)
def test_options_that_do_not_fit_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(PAPER.model_dump() | changes)


def test_class_weights_are_scikit_learns_with_melanoma_doubled() -> None:
    labels = np.repeat(np.arange(7), [5, 9, 20, 3, 18, 90, 4])
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels)
    expected[CODES.index(MELANOMA)] *= 2
    np.testing.assert_allclose(class_weights(labels, 1.0, PAPER.class_weight_factors), expected, rtol=1e-6)


def test_square_root_weights_and_an_absent_class() -> None:
    labels = np.array([0, 0, 0, 0, 1])
    weights = class_weights(labels, 0.5, {})
    assert weights[0] / weights[1] == pytest.approx(0.5)
    assert weights[2:].sum() == 0
