"""The benchmark's parts: both ways train the same, ratios are taken within a turn, memory is what a process held."""

import itertools
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.dataset.ham10000 import Ham10000
from derma_assets.errors import UserError
from derma_assets.settings import Settings
from derma_assets.training import benchmark_report
from derma_assets.training.benchmark import (
    FROM_FILES,
    FROM_MEMORY,
    OURS,
    OURS_KEPT,
    TrainingSetting,
    in_turn,
    input_rates,
    ratios,
    trained_parameters,
    training_rates,
    training_settings,
)
from derma_assets.training.benchmark_memory import Peak, watched
from derma_assets.training.benchmark_pictures import BenchmarkPictures, benchmark_pictures
from derma_assets.training.benchmark_report import COLUMNS, INPUT, TRAINING, Circumstances, main, report_markdown
from derma_assets.training.input_pipeline import training_batches
from derma_assets.training.memory_report import memory_markdown
from derma_assets.training.paper_way import batches_from_files, batches_from_memory, paper_generator
from derma_assets.training.recipe import PAPER
from derma_assets_tests.running import ROOT

# Not random weights: nothing of a picture comes through so many random layers.
SMALL = TrainingSetting(32, 23, 4, 1.0, str(ROOT / "data" / "release" / "weights.npz"))
CIRCUMSTANCES = Circumstances("make bench", "2026-01-31", "2 x Some CPU", "AVX2", "3 %", "numpy 2", "MobileNet")


@pytest.fixture
def dataset(tmp_path: Path) -> Ham10000:
    """Return five pictures, 48 x 40, of as many lesions."""
    rng = np.random.default_rng(0)
    pictures, lines = {}, ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for number, dx in enumerate(["nv", "nv", "mel", "bkl", "nv"]):
        name = f"ISIC_{number:07d}"
        pictures[name] = tmp_path / f"{name}.jpg"
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(pictures[name])
        lines.append(f"HAM_{number:07d},{name},{dx},histo,40,male,back")
    metadata = tmp_path / "HAM10000_metadata.csv"
    metadata.write_text("\n".join(lines) + "\n")
    return Ham10000(metadata, pictures, {}, tmp_path)


def _decoded(dataset: Ham10000, count: int = 8) -> tuple[BenchmarkPictures, np.ndarray]:
    pictures = benchmark_pictures(dataset, count)
    return pictures, pictures.decode(32, dataset.folder)


def test_a_small_data_set_is_repeated_and_each_picture_decoded_once(dataset: Ham10000) -> None:
    pictures, pixels = _decoded(dataset)
    assert pixels.shape == (5, 32, 32, 3)
    assert sorted(pictures.files["path"].unique()) == sorted(dataset.pictures.values())
    assert pictures.files["path"].iloc[5:].tolist() == pictures.files["path"].iloc[:3].tolist()
    assert pictures.rows.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert pictures.files["dx"].iloc[:5].value_counts().to_dict() == {"nv": 3, "mel": 1, "bkl": 1}
    assert pictures.labels[5:].tolist() == pictures.labels[:3].tolist()


def test_the_papers_generator_changes_pictures_as_the_paper_recipe_says() -> None:
    generator = paper_generator()
    assert generator.rotation_range == 180
    assert (generator.width_shift_range, generator.height_shift_range) == (0.1, 0.1)
    assert list(generator.zoom_range) == [0.9, 1.1]
    assert generator.horizontal_flip
    assert generator.vertical_flip
    # Nothing that the recipe does not have.
    assert generator.brightness_range is None
    assert (generator.shear_range, generator.channel_shift_range, generator.rescale) == (0, 0, None)
    assert generator.dtype == "float32"


def test_all_ways_give_batches_of_the_same_shapes_with_the_same_classes(dataset: Ham10000) -> None:
    pictures, pixels = _decoded(dataset)
    ours = training_batches(
        pixels,
        pictures.rows,
        pictures.labels,
        np.ones(8, np.float32),
        recipe=PAPER.model_copy(update={"batch_size": 4, "epochs": 1}),
        first_epoch=0,
        seed=0,
    )
    ways: list[Any] = [
        ours,
        itertools.islice(batches_from_files(pictures.files, 32, 4), 2),
        itertools.islice(batches_from_memory(pixels[pictures.rows], pictures.labels, 4), 2),
    ]
    for way in ways:
        batches = [(np.asarray(batch[0]), np.asarray(batch[1])) for batch in way]
        assert [one.shape for one, _ in batches] == [(4, 32, 32, 3)] * 2
        assert {one.dtype for one, _ in batches} == {np.dtype(np.float32)}
        assert max(one.max() for one, _ in batches) > 100
        classes = np.concatenate([targets for _, targets in batches])
        np.testing.assert_array_equal(classes.sum(0), np.bincount(pictures.labels, minlength=7))


def _changed(before: Any, after: list[np.ndarray]) -> list[bool]:
    return [bool((one != other).any()) for one, other in zip(before, after, strict=True)]


@pytest.mark.slow
def test_both_ways_train_the_same_parameters(dataset: Ham10000, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[Any] = []
    build = TrainingSetting.model

    def remembered(setting: TrainingSetting) -> Any:
        models.append(build(setting))
        return models[-1]

    monkeypatch.setattr(TrainingSetting, "model", remembered)
    pictures, pixels = _decoded(dataset)
    rates = training_rates(pictures, pixels, SMALL, epochs=1)
    assert list(rates) == [FROM_FILES, FROM_MEMORY, OURS, OURS_KEPT]
    assert all(rates[name]() > 0 for name in (FROM_MEMORY, OURS, OURS_KEPT))
    theirs, ours, seen, kept = models
    start = build(SMALL).get_weights()
    assert not any(_changed(start, seen.get_weights()))
    assert _changed(start, ours.get_weights()) == _changed(start, kept.get_weights())
    assert trained_parameters(theirs) == trained_parameters(ours) > 0
    assert _changed(start, ours.get_weights()) == _changed(start, theirs.get_weights())
    # The last 23 layers are four blocks' worth of kernels and batch norms; the first ones are left alone.
    assert not any(_changed(start, ours.get_weights())[:10])


def test_more_layers_are_more_parameters_and_no_setting_is_measured_twice() -> None:
    settings = training_settings(96, 86, 16, 0.25, "random")
    assert [(one.size, one.trainable_layers, one.batch_size) for one in settings] == [
        (224, 23, 10),
        (96, 23, 16),
        (96, 86, 16),
    ]
    few, all_layers = (trained_parameters(setting.model()) for setting in settings[1:])
    assert 0 < few < all_layers


def test_input_is_drawn_from_every_way(dataset: Ham10000) -> None:
    pictures, pixels = _decoded(dataset)
    found = {name: draw() for name, draw in input_rates(pictures, pixels, 4, seconds=0.01).items()}
    assert len(found) == 4
    assert min(found.values()) > 0


def test_ratios_are_taken_within_a_turn() -> None:
    rates = {"a": iter([10.0, 20.0, 40.0]), "b": iter([30.0, 50.0, 80.0])}
    runs = in_turn({name: lambda name=name: next(rates[name]) for name in rates}, 3, "testing")  # type: ignore[misc]
    assert runs["contender"].tolist() == ["a", "b"] * 3
    found = ratios(runs, "a")
    assert found.to_dict("records") == [{"contender": "b", "ratio": 2.5, "lowest": 2.0, "highest": 3.0}]


def _runs() -> pd.DataFrame:
    rows = []
    for part, ours in ((INPUT, 5000.0), (TRAINING, 250.0)):
        for repetition, factor in ((1, 1.0), (2, 1.2)):
            for name, rate in ((FROM_FILES, 100.0), (FROM_MEMORY, 125.0), (OURS, ours * factor)):
                rows.append([part, 128, 23, 32, 1_000_000, name, repetition, rate])
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_report_shows_rates_and_ratios() -> None:
    report = report_markdown(_runs(), CIRCUMSTANCES)
    for fact in ("make bench", "2026-01-31", "2 x Some CPU", "AVX2", "3 %", "numpy 2", "2 times, in turn"):
        assert fact in report
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines() if line.startswith("|")]
    setting = ["128", "32", "23", "1,000,000"]
    assert [*setting, FROM_FILES, "100", "2.75 (2.50 to 3.00)"] in cells
    assert [*setting, OURS, "275", ""] in cells
    assert ["128", "32", FROM_MEMORY, "125", "44.00 (40.00 to 48.00)"] in cells


def test_memory_is_what_the_process_held_and_what_it_started() -> None:
    small = watched([sys.executable, "-c", "pass"], os.environ)
    hold = "import time; held = bytearray(200 * 2**20); time.sleep(0.5)"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}], check=True)"
    large = watched([sys.executable, "-c", start], os.environ)
    assert small.largest_process < 150 * 2**20
    assert 200 * 2**20 < large.largest_process <= large.together < 400 * 2**20


def test_a_process_that_fails_is_no_measurement() -> None:
    with pytest.raises(UserError, match="exit status 3"):
        watched([sys.executable, "-c", "raise SystemExit(3)"], os.environ)


@pytest.mark.parametrize(("gibibytes", "said"), [(5.5, "within the aim"), (6.5, "above the aim")])
def test_the_page_on_memory_says_whether_it_is_little_enough(gibibytes: float, said: str) -> None:
    found = {
        "graph": Peak(2**30, int(gibibytes * 2**30), 900.0),
        "train": Peak(2**30, 3 * 2**29, 61.0),
        "predict": Peak(2**29, 2**29, 8.0),
    }
    page = memory_markdown(found, Settings(dataset="ham10000"), "make bench-memory", "2026-01-31")
    assert "HAM10000" not in memory_markdown(found, Settings(dataset="sample"), "make bench-memory", "2026-01-31")
    assert said in " ".join(page.split())
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert ["20 training steps, then all of validation", "1.00", "1.50", "61"] in cells


def test_it_measures_the_sample(tmp_path: Path, dataset: Ham10000, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path / "data", image_size=32)
    monkeypatch.setattr(benchmark_report, "settings", lambda: chosen)
    monkeypatch.setattr(benchmark_report, "locate_dataset", lambda chosen: dataset)
    monkeypatch.setattr(benchmark_report, "PAPER_SIZE", 32)
    monkeypatch.setattr(benchmark_report, "training_settings", lambda *setting: [SMALL])
    monkeypatch.setattr(
        benchmark_report, "training_rates", lambda *given: {FROM_FILES: lambda: 50.0, OURS: lambda: 99.0}
    )
    options = ["--pictures", "8", "--repetitions", "1", "--epochs", "1", "--seconds", "0.01"]
    assert main([*options, "--output", str(tmp_path / "docs")]) == 0
    report = (tmp_path / "docs" / "training_speed.md").read_text()
    table = pd.read_csv(tmp_path / "docs" / "training_speed.csv")
    assert list(table.columns) == COLUMNS
    assert (table["pictures_per_s"] > 0).all()
    assert "1.98 (1.98 to 1.98)" in report
    options = "--pictures 8 --repetitions 1 --epochs 1 --seconds 0.01"
    assert f"`DERMA_DATASET=sample make bench OPTIONS='{options}'`" in report
    assert set(table["part"]) == {INPUT, TRAINING}
