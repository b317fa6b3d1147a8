"""Weights that ship: written small, loaded into the backbone of another training, and never onto their own test."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.errors import InputError
from derma_assets.settings import Settings
from derma_assets.training import weights_file
from derma_assets.training.classifier import build_classifier
from derma_assets.training.recipe import DEFAULT, named_recipe
from derma_assets.training.train import BackboneChoice, train_classifier, training_identity
from derma_assets.training.weights_file import SPLITS, load_weights, refuse_learnt_from, write_weights
from derma_assets_tests import small_study


def build(**changes: Any) -> Any:
    choice = {"alpha": 0.25, "weights": "random", "trainable_layers": 30, "dropout": 0.25, "seed": 1}
    return build_classifier(48, **{**choice, **changes})


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the small study's model, which learnt from its training pictures."""
    folder = tmp_path_factory.mktemp("release")
    write_weights(small_study.model(), folder / "weights.npz")
    small_study.splits()[["image_id", "lesion_id", "dx", "split"]].to_parquet(folder / SPLITS)
    return folder / "weights.npz"


@pytest.fixture
def arrays(tmp_path: Path) -> ImageArrays:
    return ImageArrays.open(small_study.write_arrays(tmp_path / "arrays"))


def test_a_model_is_read_back_within_half_precision(released: Path) -> None:
    model = build()
    load_weights(model, released)
    for ours, theirs in zip(model.weights, small_study.model().weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2**-11, atol=2**-25)
    small = small_study.model().get_layer("conv_dw_1").kernel
    np.testing.assert_array_equal(model.get_layer("conv_dw_1").kernel, small)
    with np.load(released) as stored:
        assert stored["conv_pw_13/kernel"].dtype == np.float16
        assert stored["conv_dw_13/kernel"].dtype == stored["logits/bias"].dtype == np.float32


def test_statistics_too_small_or_too_large_for_half_precision_are_kept(tmp_path: Path) -> None:
    model = build()
    layer = model.get_layer("conv_pw_13_bn")
    gamma, beta, mean, variance = layer.get_weights()
    layer.set_weights([gamma, beta, mean + 1e6, variance * 1e-12])
    write_weights(model, tmp_path / "weights.npz")
    again = build()
    load_weights(again, tmp_path / "weights.npz")
    for ours, theirs in zip(again.get_layer("conv_pw_13_bn").weights, layer.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("value", [1e6, np.nan])
def test_a_kernel_that_half_precision_cannot_hold_is_refused(tmp_path: Path, value: float) -> None:
    model = build()
    (kernel,) = model.get_layer("conv_pw_13").get_weights()
    kernel[0, 0, 0, 0] = value
    model.get_layer("conv_pw_13").set_weights([kernel])
    with pytest.raises(InputError, match="conv_pw_13/kernel"):
        write_weights(model, tmp_path / "weights.npz")


def test_fine_tuning_starts_from_the_released_backbone_with_a_new_head(released: Path) -> None:
    model, untouched = build(weights=str(released)), build()
    for name in ("conv1", "conv_pw_13_bn"):
        for ours, theirs in zip(
            model.get_layer(name).weights, small_study.model().get_layer(name).weights, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    assert model.get_layer("logits").kernel.shape == small_study.model().get_layer("logits").kernel.shape
    assert not np.allclose(model.get_layer("logits").kernel, small_study.model().get_layer("logits").kernel)
    assert untouched.get_layer("logits").kernel.shape == model.get_layer("logits").kernel.shape


def test_another_width_is_refused_and_the_right_one_named(released: Path) -> None:
    with pytest.raises(InputError, match=r"DERMA_ALPHA=0\.25"):
        build(weights=str(released), alpha=0.5)


def test_without_a_release_nothing_else_is_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no release to start from"):
        build(weights=str(tmp_path / "weights.npz"))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\3\4 half of one"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.npz cannot be read"):
        build(weights=str(tmp_path / "weights.npz"))


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", **{"dense/kernel": np.zeros((2, 2))})
    with pytest.raises(InputError, match="another model's"):
        build(weights=str(tmp_path / "weights.npz"))


def test_the_setting_release_names_its_weights(tmp_path: Path) -> None:
    chosen = Settings(data_dir=tmp_path, release_dir=tmp_path / "mine", backbone_weights="release")
    assert chosen.initial_weights == str(tmp_path / "mine/weights.npz")
    assert Settings(data_dir=tmp_path, backbone_weights="imagenet").initial_weights == "imagenet"


def test_a_training_is_told_apart_by_the_weights_content_not_by_their_place(
    released: Path, arrays: ImageArrays, tmp_path: Path
) -> None:
    def identity(path: Path) -> str:
        backbone = BackboneChoice(weights=str(path), alpha=0.25, trainable_layers=30)
        return training_identity(arrays, small_study.splits(), DEFAULT, backbone, seed=1, precision="float32")

    copy = tmp_path / "weights.npz"
    copy.write_bytes(released.read_bytes())
    before = identity(copy)
    assert before == identity(released)
    write_weights(build(), copy)
    assert identity(copy) != before


def test_what_the_weights_have_learnt_from_cannot_be_held_out(
    released: Path, arrays: ImageArrays, tmp_path: Path
) -> None:
    splits = small_study.splits().copy()
    learnt = splits.index[splits["split"] == "train"][0]
    splits.loc[learnt, "split"] = "test"
    with pytest.raises(InputError, match=f"1 of 43 validation and test pictures, such as {splits['image_id'][learnt]}"):
        train_classifier(
            arrays,
            splits,
            recipe=named_recipe("sample", epochs=1),
            backbone=BackboneChoice(weights=str(released), alpha=0.25, trainable_layers=30),
            seed=1,
            state_folder=tmp_path / "state",
            precision="float32",
        )


def test_another_picture_of_a_lesion_learnt_from_cannot_be_held_out_either(released: Path) -> None:
    learnt = small_study.splits().query("split == 'train'").iloc[:1]
    refuse_learnt_from(released, small_study.splits())
    with pytest.raises(InputError, match="such as another"):
        refuse_learnt_from(released, learnt.assign(image_id="another", split="validation"))


def test_pictures_that_the_weights_never_saw_may_be_held_out(released: Path) -> None:
    others = pd.DataFrame(
        {"image_id": ["x", "y"], "lesion_id": ["X", "Y"], "dx": "nv", "split": ["test", "validation"]}
    )
    refuse_learnt_from(released, others)


def test_weights_without_word_of_what_they_learnt_from_are_refused(released: Path, tmp_path: Path) -> None:
    copy = tmp_path / "weights.npz"
    copy.write_bytes(released.read_bytes())
    with pytest.raises(InputError, match=r"splits\.parquet is missing"):
        refuse_learnt_from(copy, small_study.splits())


def test_the_file_that_training_starts_from_decides_by_its_content(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for weights, files in ((str(released), [released]), ("imagenet", []), ("release", [released])):
        chosen = Settings(backbone_weights=weights, release_dir=released.parent)
        monkeypatch.setattr(weights_file, "settings", lambda chosen=chosen: chosen)
        assert weights_file.initial_weights_files() == files
