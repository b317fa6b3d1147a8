"""Teachers are asked about what they have not learnt from, and what they say is learnt beside the labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.training import train as train_module
from derma_assets.training.recipe import SAMPLE, Recipe
from derma_assets.training.teachers import soft_targets, teachers_splits
from derma_assets.training.train import BackboneChoice, TrainedClassifier, train_classifier
from derma_assets_tests import small_study

TEACHERS = 2


def test_every_training_lesion_is_asked_about_once_and_test_is_not_seen() -> None:
    splits = small_study.splits()
    train = splits[splits["split"] == "train"]
    parts = teachers_splits(splits, TEACHERS, seed=1)
    asked = pd.concat([part[part["split"] == "test"] for part in parts])
    assert sorted(asked["image_id"]) == sorted(train["image_id"])
    assert asked.groupby("lesion_id")["image_id"].count().equals(train.groupby("lesion_id")["image_id"].count())
    held_out = set(splits.loc[splits["split"] == "test", "image_id"])
    for part in parts:
        learnt, heard = (set(part.loc[part["split"] == side, "lesion_id"]) for side in ("train", "test"))
        assert not learnt & heard
        assert not held_out & set(part["image_id"])
        assert set(part.loc[part["split"] == "train", "dx"]) == set(CODES)
    shuffled = teachers_splits(splits.sample(frac=1, random_state=1), TEACHERS, seed=1)
    for part, other in zip(parts, shuffled, strict=True):
        pd.testing.assert_frame_equal(part, other.loc[part.index])


def test_too_few_lesions_for_the_teachers_are_told() -> None:
    with pytest.raises(InputError, match=r"training lesions, fewer than the 99 teachers.*teacher_folds"):
        teachers_splits(small_study.splits(), 99, seed=1)


def test_one_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn from"):
        Recipe(**{**SAMPLE.model_dump(), "teacher_folds": 1})


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> ImageArrays:
    return ImageArrays.open(small_study.write_arrays(tmp_path_factory.mktemp("store") / "image_arrays"))


class Sure:
    """A stand-in of a trained teacher that says one diagnosis of every picture."""

    def __init__(self, code: int, size: int) -> None:
        import keras

        pictures = keras.Input((size, size, 3))
        logits = keras.layers.Dense(len(CODES), kernel_initializer="zeros")
        self.model = keras.Model(pictures, logits(keras.layers.GlobalAveragePooling2D()(pictures)))
        logits.bias.assign(30.0 * np.eye(len(CODES), dtype=np.float32)[code])


def test_targets_are_label_and_word_of_the_one_who_has_not_learnt_it(arrays: ImageArrays) -> None:
    splits = small_study.splits()
    train = splits[splits["split"] == "train"].reset_index(drop=True)
    parts = teachers_splits(splits, TEACHERS, seed=3)
    targets = soft_targets(
        arrays,
        splits,
        teachers=TEACHERS,
        share=0.25,
        seed=3,
        train=lambda number, _: Sure(number, arrays.size).model,
    )
    labels = train["dx"].map(list(CODES).index).to_numpy()
    expected = 0.75 * np.eye(len(CODES))[labels]
    for number, part in enumerate(parts):
        asked = train["image_id"].isin(part.loc[part["split"] == "test", "image_id"]).to_numpy()
        assert asked.any()
        expected[asked, number] += 0.25
    np.testing.assert_allclose(targets, expected, atol=1e-6)


def _train(arrays: ImageArrays, folder: Path, **recipe: object) -> TrainedClassifier:
    return train_classifier(
        arrays,
        small_study.splits(),
        recipe=SAMPLE.model_copy(update={"epochs": 2, **recipe}),
        backbone=BackboneChoice(weights="random", alpha=0.25, trainable_layers=3),
        seed=5,
        state_folder=folder,
        precision="float32",
    )


@pytest.mark.slow
def test_a_taught_training_goes_on_where_it_was_and_learns_something_else(
    arrays: ImageArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _train(arrays, tmp_path / "plain")
    taught = _train(arrays, tmp_path / "taught", teacher_folds=TEACHERS)
    assert (plain.history["loss"] != taught.history["loss"]).all()
    states = sorted(path.relative_to(tmp_path / "taught").parts[0] for path in tmp_path.glob("taught/*/*.npz"))
    assert states == ["teacher-0", "teacher-1"]
    monkeypatch.setattr(train_module, "soft_targets", lambda *a, **k: pytest.fail("taught again"))
    again = _train(arrays, tmp_path / "taught", teacher_folds=TEACHERS)
    np.testing.assert_array_equal(taught.model.get_weights()[0], again.model.get_weights()[0])


def test_processes_that_train_together_have_no_teachers(arrays: ImageArrays, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one process trains: unset TF_CONFIG"):
        train_classifier(
            arrays,
            small_study.splits(),
            recipe=SAMPLE.model_copy(update={"teacher_folds": TEACHERS}),
            backbone=BackboneChoice(weights="random", alpha=0.25, trainable_layers=3),
            seed=5,
            state_folder=tmp_path,
            precision="float32",
            together=lambda _: pytest.fail("trained"),
        )
