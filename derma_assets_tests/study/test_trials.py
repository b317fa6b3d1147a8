"""Trials of a study: each changes what it says, and is judged on validation alone."""

from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.manifest import build_manifest
from derma_assets.errors import InputError
from derma_assets.settings import Settings
from derma_assets.storage.fingerprint import sha256_of_file
from derma_assets.storage.io_managers import io_managers
from derma_assets.study import after_training, report, study_assets
from derma_assets.study.differences import COMPARED, differences, differences_markdown
from derma_assets.study.pictures import shades_of_grey, trial_pictures, whole
from derma_assets.study.report import study_markdown, study_page
from derma_assets.study.rows import COMMITTED, LABELS, study_rows, with_committed
from derma_assets.study.trials import BASE, TRIALS
from derma_assets.study.validation_figures import validation_table
from derma_assets_tests import small_study
from derma_assets_tests.calibration.made_up import predictions


def test_the_papers_recipe_comes_first_and_the_others_change_one_thing() -> None:
    first, *others = TRIALS.values()
    assert first.name == first.recipe.name == "paper"
    assert first.trainable_layers == 23
    base = TRIALS["base"].model_dump()
    for trial in others:
        told = {"name", "idea", "recipe", "compared_with", "kept"}
        changed = {key for key, value in trial.model_dump().items() if value != base[key]} - told
        recipe = {key for key, value in trial.recipe.model_dump().items() if value != BASE.model_dump()[key]}
        assert (trial.name == "base") == (not changed | recipe)
        several = ("last30", "variants", "sampling", "adam", "lite0_160", "larger", "default", "continued")
        changed -= {"trainable_layers"} if "backbone" in changed else set()  # another network has another number
        assert len(changed | recipe) <= 1 or trial.name in several
        assert trial.compared_with in {None, *TRIALS}


def test_figures_are_of_validation_pictures() -> None:
    table = pd.concat([predictions().assign(views=views) for views in (1, 4)], ignore_index=True)
    figures = validation_table(table, resamples=100, seed=1)
    values = figures[figures["views"] == 4].set_index("metric")
    validation = table[(table["views"] == 4) & (table["split"] == "validation")]
    called = validation[[column for column in validation if column.startswith("logit_")]].to_numpy().argmax(axis=1)
    truth = validation["dx"].map({column[6:]: i for i, column in enumerate(c for c in table if c.startswith("logit_"))})
    assert values.at["accuracy", "value"] == pytest.approx((called == truth).mean())
    assert (values["low"] <= values["value"]).all()
    assert (values["value"] <= values["high"]).all()
    spoilt = table.assign(logit_mel=table["logit_mel"].where(table["split"] == "validation", 99.0))
    pd.testing.assert_frame_equal(figures, validation_table(spoilt, resamples=100, seed=1))


def test_the_whole_picture_is_framed_by_its_mirror_image() -> None:
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    square = np.asarray(whole(Image.fromarray(picture)))
    assert square.shape == (6, 6, 3)
    np.testing.assert_array_equal(square[1:5], picture)
    np.testing.assert_array_equal(square[0], picture[0])


def test_a_tinted_lamp_is_made_grey() -> None:
    grey = np.random.default_rng(0).integers(40, 150, (8, 8, 1)).repeat(3, axis=2)
    tinted = Image.fromarray((grey * [1.0, 0.8, 0.6]).astype(np.uint8))
    corrected = np.asarray(shades_of_grey(tinted)).astype(int)
    assert np.ptp(corrected, axis=2).max() <= 3
    assert np.ptp(np.asarray(tinted).astype(int), axis=2).min() > 10


@pytest.fixture
def manifest(tmp_path: Path) -> pd.DataFrame:
    folder = tmp_path / "pictures"
    folder.mkdir()
    splits = small_study.splits()
    for image_id, pixels in zip(splits["image_id"], small_study.pictures(), strict=True):
        Image.fromarray(pixels).resize((64, 48)).save(folder / f"{image_id}.png")
    paths = {image_id: folder / f"{image_id}.png" for image_id in splits["image_id"]}
    return build_manifest(splits["image_id"].tolist(), paths, folder, None).table


def test_pictures_are_made_once_for_each_size_and_framing(manifest: pd.DataFrame, tmp_path: Path) -> None:
    made = [trial_pictures(manifest, 32, framing, tmp_path / "made") for framing in ("centre", "whole")]
    assert len({arrays.fingerprint for arrays in made}) == 2
    assert not np.array_equal(made[0].pixels[:], made[1].pixels[:])
    stamp = (tmp_path / "made" / "whole-32").stat().st_mtime_ns
    again = trial_pictures(manifest, 32, "whole", tmp_path / "made")
    assert isinstance(again, ImageArrays)
    assert (tmp_path / "made" / "whole-32").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_trials_are_trained_and_gathered(
    manifest: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path, epochs=1, bootstrap_resamples=100)
    for module in (study_assets, report):
        monkeypatch.setattr(module, "settings", lambda: chosen)
    upstream = small_study.stand_ins(
        {"raw_images": ("table", manifest), "grouped_splits": ("table", small_study.splits())}
    )
    resources = io_managers(chosen.store)
    instance = dg.DagsterInstance.ephemeral()
    run = dg.materialize(
        [*upstream, study_assets.trial_figures], partition_key="mixup", resources=resources, instance=instance
    )
    assert run.success
    assert report.main(["--missing"]) == 0
    assert capsys.readouterr().out.split() == [name for name in TRIALS if name != "mixup"]
    run = dg.materialize(
        [*upstream, study_assets.trial_figures, study_assets.study_table],
        selection=[study_assets.study_table],
        resources=resources,
        instance=instance,
    )
    assert run.success
    rows = run.output_for_node("study_table")
    assert rows["trial"].tolist() == ["mixup"]
    assert rows[["pixels", "layers", "epochs"]].to_numpy().tolist() == [[96, 86, 1]]
    assert report.main([]) == 0
    assert "mixup, alpha 0.2" in capsys.readouterr().out


def figures_of(name: str, value: float = 0.5) -> pd.DataFrame:
    """Return a table as the asset `trial_figures` is."""
    return pd.DataFrame(
        [(views, metric, value, 0.4, 0.6) for views in (1, 4) for metric in LABELS],
        columns=["views", "metric", "value", "low", "high"],
    ).assign(epochs=3, seconds=90.0, precision="float32", date="2026-01-02", definition=TRIALS[name].definition)


def test_what_was_measured_on_another_machine_stays_while_the_trial_is_defined_so() -> None:
    committed = study_rows({name: figures_of(name, 0.45) for name in ("paper", "mixup", "whole", "default")})
    committed.loc[committed["trial"] == "whole", "definition"] = "of other epochs"
    both = with_committed(study_rows({"mixup": figures_of("mixup")}), committed)
    assert both["trial"].tolist() == ["paper", "mixup", "default"]
    assert both["accuracy_4"].tolist() == [0.45, 0.5, 0.45]
    assert with_committed(study_rows({}), committed)["trial"].tolist() == ["paper", "mixup", "default"]
    gone = figures_of("mixup").assign(definition="of other epochs")
    assert study_rows({"mixup": gone}).empty


def test_a_trial_is_another_one_when_what_it_tries_is_edited() -> None:
    trial = TRIALS["mixup"]
    assert len({one.definition for one in TRIALS.values()}) == len(TRIALS)
    assert trial.model_copy(update={"name": "mixed", "idea": "in other words"}).definition == trial.definition
    for change in ({"image_size": 97}, {"framing": "whole"}, {"recipe": BASE}, {"from_release": "0" * 64}):
        assert trial.model_copy(update=change).definition != trial.definition


def test_a_trial_goes_on_from_the_release_that_it_names_and_from_no_other(tmp_path: Path) -> None:
    weights = tmp_path / "weights.npz"
    weights.write_bytes(b"weights of the release")
    chosen = Settings(data_dir=tmp_path, release_dir=tmp_path, backbone_weights="imagenet")
    named = TRIALS["continued"].model_copy(update={"from_release": sha256_of_file(weights)})
    assert study_assets.initial_weights(named, chosen) == str(weights.resolve())
    assert study_assets.initial_weights(TRIALS["base"], chosen) == "imagenet"
    of_mobilenet = chosen.model_copy(update={"backbone_weights": "/a/file.h5"})
    assert study_assets.initial_weights(TRIALS["base"], of_mobilenet) == "/a/file.h5"
    assert study_assets.initial_weights(TRIALS["lite0"], of_mobilenet) == "imagenet"
    untrained = chosen.model_copy(update={"backbone_weights": "random"})
    assert study_assets.initial_weights(TRIALS["lite0"], untrained) == "random"
    weights.write_bytes(b"weights of the next release")
    with pytest.raises(InputError, match="DERMA_RELEASE_DIR"):
        study_assets.initial_weights(named, chosen)


def test_the_page_shows_every_figure_with_its_interval() -> None:
    rows = study_rows({name: figures_of(name) for name in ("size160", "paper")})
    assert rows["trial"].tolist() == ["paper", "size160"]
    assert study_markdown(rows).count("0.500 (0.400 to 0.600)") == 2 * len(LABELS)
    assert "2026-01-02" in study_page(rows)


def test_a_trial_is_shown_beside_the_one_that_it_changes() -> None:
    figures = {"base": figures_of("base", 0.5), "mixup": figures_of("mixup", 0.47), "default": figures_of("default")}
    rows = study_rows(figures)
    table = differences(rows)
    # The default's partner was not run, and base has none.
    assert table["trial"].tolist() == ["mixup"]
    assert table.loc[0, "compared_with"] == "base"
    assert table.loc[0, list(COMPARED)].astype(float).round(6).tolist() == [-0.03] * len(COMPARED)
    assert differences_markdown(table).count("-0.030") == len(COMPARED)
    assert differences_markdown(table) in study_page(rows)
    assert "another precision" not in " ".join(differences_markdown(table).split())
    rows.loc[rows["trial"] == "mixup", "precision"] = "mixed_float16"
    assert "| mixup \\* |" in differences_markdown(differences(rows))
    assert "another precision" in differences_markdown(differences(rows))


def test_a_trial_that_is_defined_otherwise_now_is_not_compared() -> None:
    rows = study_rows({name: figures_of(name) for name in ("base", "mixup", "grey")})
    rows.loc[rows["trial"] == "mixup", "definition"] = "of other epochs"
    rows.loc[rows["trial"] == "grey", "trial"] = "not tried any more"
    assert differences(rows).empty


def test_every_committed_trial_says_whether_it_was_kept() -> None:
    rows = pd.read_csv(COMMITTED)
    assert not rows.empty
    assert all(TRIALS[name].kept for name in rows["trial"] if name != "base")


def test_a_data_folder_without_a_release_takes_nothing_off_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(dataset="ham10000", data_dir=tmp_path / "mine", bootstrap_resamples=100)
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    (project / "data").symlink_to(Path(__file__).parents[2] / "data")
    for name, value in {"settings": lambda: chosen, "COMMITTED": project / "trials.csv", "PROJECT": project}.items():
        monkeypatch.setattr(report, name, value)
    rows = study_rows({"mixup": figures_of("mixup")})
    rows.to_csv(project / "trials.csv", index=False)
    chosen.store.mkdir(parents=True)
    rows.to_parquet(chosen.store / "study_table.parquet")
    assert report.main([]) == 0
    page = (project / "docs" / "study.md").read_text()
    assert "mixup, alpha 0.2" in page
    assert "## After training" in page


def test_adjusting_the_logits_trades_accuracy_for_the_rare_diagnoses() -> None:
    table = predictions().assign(views=1)
    shares = np.array([0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02])
    raised = after_training.adjusted(table, shares, 1.0)
    np.testing.assert_allclose(raised["logit_nv"], table["logit_nv"] - np.log(0.67))
    figures = after_training.adjustment_table(table, shares, 100, 1, strengths=(0.0, 50.0), views=(1,))
    values = figures.set_index(["strength", "metric"])["value"]
    plain = validation_table(table, 100, 1, (1,)).set_index("metric")["value"]
    assert values[0.0, "accuracy"] == pytest.approx(plain["accuracy"])
    # So strong an adjustment calls everything by the rarest diagnosis.
    assert values[50.0, "balanced_accuracy"] == pytest.approx(1 / 7)


def test_the_page_tells_what_was_tried_after_training() -> None:
    release = Path(__file__).parents[2] / "data" / "release"
    figures = after_training.of_release(release, 100, 1)
    shown = report.adjustment_markdown(figures)
    assert len(shown.splitlines()) == 2 + len(after_training.STRENGTHS) * len(after_training.VIEWS)
    share = after_training.class_shares(pd.read_parquet(release / "splits.parquet"))
    assert share.sum() == pytest.approx(1)
