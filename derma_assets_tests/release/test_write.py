"""A release holds what the store has, and refuses what does not belong together."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.browser.bundle import read_manifest
from derma_assets.browser.parity_record import record_parity
from derma_assets.errors import UserError
from derma_assets.release import write
from derma_assets.release.layout import changed_files, is_release, read_document, read_release, read_table
from derma_assets.release.write import write_release
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_folder, sha256_of_file, sha256_of_files
from derma_assets.storage.paths import stored_path
from derma_assets.training.classifier import build_classifier
from derma_assets.training.recipe import DEFAULT
from derma_assets_tests import small_study
from derma_assets_tests.calibration import made_up
from derma_assets_tests.release.made_up_store import DATE, settings_for


def attempt(data_dir: Path, **changes: object) -> str:
    """Try to release and return why it was refused; what was released before must be untouched."""
    folder = data_dir / "release"
    folder.mkdir(exist_ok=True)
    (folder / "before.txt").write_text("before")
    with pytest.raises(UserError) as refusal:
        write_release(settings_for(data_dir, **changes), folder, DATE)
    assert os.listdir(folder) == ["before.txt"]
    assert [path.name for path in data_dir.iterdir() if path.name.startswith(".")] == []
    return str(refusal.value)


def change_table(data_dir: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = stored_path(data_dir / "store/ham10000", name, "table")
    change(pd.read_parquet(path)).to_parquet(path)


def test_the_manifest_lists_every_file_with_its_hash_and_size(release: Path) -> None:
    files = read_release(release)["files"]
    on_disk = {path.relative_to(release).as_posix(): path for path in release.rglob("*") if path.is_file()}
    del on_disk["release.json"]
    assert {path: entry["sha256"] for path, entry in files.items()} == {
        path: sha256_of_file(file) for path, file in on_disk.items()
    }
    assert {path: entry["bytes"] for path, entry in files.items()} == {
        path: file.stat().st_size for path, file in on_disk.items()
    }
    assert {"bundle.tar.xz", "weights.npz", "predictions.parquet", "splits.parquet", "LICENSE.md"} <= set(files)
    assert changed_files(release) == []


def test_the_manifest_says_what_was_released_and_from_what(original: Path) -> None:
    said = read_release(original / "release")
    bundle = stored_path(original / "store/ham10000", "tfjs_bundle", "folder")
    assert said["date"] == DATE
    assert said["command"] == "make release DERMA_DATASET=ham10000"
    assert said["dataset"]["key"] == "ham10000"
    assert {name: said["model"][name] for name in ("image_size", "alpha", "trainable_layers")} == {
        "image_size": small_study.SIZE,
        "alpha": 0.25,
        "trainable_layers": 85,
    }
    assert said["model"]["fingerprint"] == fingerprint_arrays(small_study.model().get_weights())
    assert said["training"]["recipe"] == "sample"
    assert (said["training"]["epochs"], said["training"]["epochs_trained"], said["training"]["epoch_kept"]) == (3, 3, 2)
    assert said["training"]["initial_weights"] == {"name": "imagenet"}
    assert said["bundle"]["fingerprint"] == fingerprint_folder(bundle)
    assert said["versions"] == read_manifest(bundle)["versions"]
    assert said["test"]["lesions"] == 84
    test = made_up.predictions().query("split == 'test'")
    assert said["test"]["pictures"] == len(test)
    logits = test[[column for column in test if column.startswith("logit_")]]
    right = logits.idxmax(axis=1).str.removeprefix("logit_") == test["dx"]
    assert said["test"]["accuracy"]["value"] == pytest.approx(right.mean())


def test_tables_and_documents_keep_all_their_digits(original: Path) -> None:
    store, release = original / "store/ham10000", original / "release"
    for name in ("overall_metrics", "view_metrics", "training_history", "refusal_rates"):
        stored = pd.read_parquet(stored_path(store, name, "table"))
        pd.testing.assert_frame_equal(read_table(release, name), stored, check_dtype=False, rtol=0, atol=0)
    confusion = pd.read_parquet(stored_path(store, "confusion_matrix", "table"))
    pd.testing.assert_frame_equal(read_table(release, "confusion_matrix").set_index("dx"), confusion)
    for name in ("calibrated_temperature", "operating_points", "view_calibration"):
        assert read_document(release, name) == json.loads(stored_path(store, name, "document").read_text())
    pd.testing.assert_frame_equal(pd.read_parquet(release / "predictions.parquet"), made_up.view_predictions())


def test_the_same_store_gives_the_same_files(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original / "store", tmp_path / "store")
    write_release(settings_for(tmp_path), tmp_path / "release", DATE)
    assert sha256_of_files(tmp_path / "release") == sha256_of_files(original / "release")


def test_an_earlier_release_is_replaced_whole(data_dir: Path) -> None:
    (data_dir / "release").mkdir()
    (data_dir / "release" / "left_over.txt").write_text("of the earlier one")
    write_release(settings_for(data_dir), data_dir / "release", DATE)
    assert changed_files(data_dir / "release") == []


def test_a_released_model_did_not_start_from_itself(data_dir: Path) -> None:
    write_release(settings_for(data_dir), data_dir / "earlier", DATE)
    said = attempt(data_dir, backbone_weights=str(data_dir / "earlier" / "weights.npz"))
    assert "the stored model is the released one" in said


def test_the_licence_names_source_and_terms(release: Path) -> None:
    text = (release / "LICENSE.md").read_text()
    for said in ("CC BY-NC 4.0", "10.7910/DVN/DBW86T", "Tschandl", "not a diagnosis", "none of them in this folder"):
        assert said in text


def test_a_model_card_is_released_if_there_is_one(data_dir: Path) -> None:
    card = stored_path(data_dir / "store/ham10000", "model_card", "folder")
    card.mkdir()
    (card / "model_card.html").write_text("<p>card</p>")
    (card / "model_card.md").write_text("card")
    (card / "other.bin").write_text("not asked for")
    manifest = write_release(settings_for(data_dir), data_dir / "release", DATE)
    assert {"model_card.html", "model_card.md"} <= set(manifest["files"])
    assert "other.bin" not in manifest["files"]
    assert (data_dir / "release/model_card.md").read_text() == "card"


def test_the_samples_model_is_not_released(data_dir: Path) -> None:
    assert "generated pictures" in attempt(data_dir, dataset="sample")


def test_a_bundle_of_generated_pictures_is_not_released_under_another_name(data_dir: Path) -> None:
    bundle = stored_path(data_dir / "store/ham10000", "tfjs_bundle", "folder")
    manifest = read_manifest(bundle)
    manifest["dataset"]["synthetic"] = True
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert "trained on generated pictures" in attempt(data_dir)


@pytest.mark.parametrize(
    ("name", "key"),
    [("trained_model", "keras_model"), ("view_metrics", "table"), ("tfjs_bundle", "folder"), ("predictions", "table")],
)
def test_what_is_missing_is_named_with_the_command_that_makes_it(data_dir: Path, name: str, key: str) -> None:
    stored_path(data_dir / "store/ham10000", name, key).rename(data_dir / "elsewhere")
    said = attempt(data_dir)
    assert f"{name} has not been stored yet" in said
    assert f"--select '*{name}'" in said


def test_a_model_that_the_bundle_was_not_made_from(data_dir: Path) -> None:
    other = build_classifier(small_study.SIZE, alpha=0.25, weights="random", trainable_layers=86, dropout=0.25, seed=1)
    other.save(stored_path(data_dir / "store/ham10000", "trained_model", "keras_model"))
    assert "the bundle was made from another trained_model than the stored one" in attempt(data_dir)


def test_a_changed_file_in_the_bundle(data_dir: Path) -> None:
    (stored_path(data_dir / "store/ham10000", "tfjs_bundle", "folder") / "index.html").write_text("changed")
    said = attempt(data_dir)
    assert "files of the bundle are not as its manifest says: index.html" in said
    assert "the last check browser_parity was of another bundle" in said


def test_predictions_that_do_not_give_the_metrics(data_dir: Path) -> None:
    for name in ("predictions", "view_predictions"):
        change_table(data_dir, name, lambda table: table.assign(logit_nv=table["logit_nv"] + np.float32(1)))
    assert "overall_metrics: value of accuracy is" in attempt(data_dir)


def test_views_of_other_predictions(data_dir: Path) -> None:
    change_table(data_dir, "predictions", lambda table: table.assign(logit_nv=table["logit_nv"] + np.float32(1)))
    assert "view_predictions were made from other predictions" in attempt(data_dir)


def test_metrics_of_another_model_than_the_converted_one(data_dir: Path) -> None:
    path = stored_path(data_dir / "store/ham10000", "tfjs_model", "folder") / "variants.json"
    document = json.loads(path.read_text())
    document["variants"][0]["accuracy"] -= 0.01
    path.write_text(json.dumps(document))
    assert "are of another model than tfjs_model" in attempt(data_dir)


def test_a_threshold_that_validation_does_not_give(data_dir: Path) -> None:
    path = stored_path(data_dir / "store/ham10000", "operating_points", "document")
    document = json.loads(path.read_text())
    document["melanoma"]["threshold"] += 0.01
    path.write_text(json.dumps(document))
    assert "operating_points: melanoma: threshold is" in attempt(data_dir)


def test_intervals_of_another_number_of_resamples(data_dir: Path) -> None:
    assert "overall_metrics: low of accuracy is" in attempt(data_dir, bootstrap_resamples=200)


def test_a_recipe_that_the_model_was_not_trained_with(data_dir: Path) -> None:
    why = attempt(data_dir, recipe="default", epochs=None)
    assert f"trained for 3 epochs, the recipe 'default' for {DEFAULT.epochs}" in why


@pytest.mark.parametrize("outcome", ["failed", "not run"])
def test_a_bundle_that_did_not_pass_in_the_browser(data_dir: Path, outcome: str) -> None:
    bundle = stored_path(data_dir / "store/ham10000", "tfjs_bundle", "folder")
    record_parity(bundle, outcome, "uint8 on wasm differs")  # type: ignore[arg-type]
    assert f"browser_parity has not passed for this bundle ({outcome}: uint8 on wasm differs)" in attempt(data_dir)


def test_a_bundle_that_no_browser_has_seen(data_dir: Path) -> None:
    (data_dir / "store/ham10000/browser_parity.json").unlink()
    assert "has left no record" in attempt(data_dir)


def test_a_release_that_is_too_large(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "LIMIT_BYTES", 100_000)
    said = attempt(data_dir)
    assert "of 0.1 MB at most" in said
    assert "largest: weights.npz" in said


def test_the_command_says_why_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "settings", lambda: settings_for(tmp_path, dataset="sample"))
    assert write.main([]) == 1
    assert "make release DERMA_DATASET=ham10000" in capsys.readouterr().err


def test_the_command_releases(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "settings", lambda: settings_for(data_dir))
    assert write.main([]) == 0
    assert is_release(data_dir / "release")
    assert str(data_dir / "release") in capsys.readouterr().out
