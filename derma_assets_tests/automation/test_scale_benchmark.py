"""The benchmark of scaling: data that look like data, every step runs, and growth is computed as it says."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.automation.scale_benchmark import ROWS, STEPS, main
from derma_assets.automation.scale_benchmark_report import (
    COLUMNS,
    in_order_of_size,
    report_markdown,
    steps_table,
    with_growth,
)
from derma_assets.automation.scale_data import generated_metadata, write_pictures
from derma_assets.dataset.metadata_schema import SCHEMA
from derma_assets.dataset.preprocessing import open_picture

NUMBER = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the steps on rows were run, one after the other."""
    folder = tmp_path_factory.mktemp("scale")
    assert main(["generate_rows", str(folder), "--number", str(NUMBER)]) == 0
    for name in STEPS[ROWS]:
        assert main([name, str(folder)]) == 0
        result = json.loads((folder / "result.json").read_text())
        assert result["seconds"] > 0
        assert set(result) == {"seconds", "cpu_seconds", "told"}
        (folder / f"{name}.json").write_text(json.dumps(result["told"]))
    return folder


def told(folder: Path, step: str) -> dict[str, int]:
    return json.loads((folder / f"{step}.json").read_text())


def test_every_step_does_what_it_is_timed_for(folder: Path) -> None:
    assert told(folder, "metadata_validation") == {"rows": NUMBER}
    assert told(folder, "known_manifest") == {"read": 0, "unchanged": NUMBER}
    assert 0.05 * NUMBER < told(folder, "bootstrap_tables")["test_pictures"] < 0.15 * NUMBER
    splits = pd.read_parquet(folder / "splits.parquet")
    assert len(splits) == NUMBER
    assert splits.groupby("lesion_id")["split"].nunique().max() == 1


def test_generated_metadata_are_as_ham10000s() -> None:
    metadata = generated_metadata(NUMBER, seed=1)
    SCHEMA.validate(metadata)
    assert NUMBER / metadata["lesion_id"].nunique() == pytest.approx(1.34, abs=0.05)
    assert metadata["dx"].nunique() == 7
    pd.testing.assert_frame_equal(metadata, generated_metadata(NUMBER, seed=1))


def test_hashes_of_one_lesion_are_near_each_other_and_others_are_not(folder: Path) -> None:
    manifest = pd.read_parquet(folder / "manifest.parquet")
    lesion = pd.read_parquet(folder / "metadata.parquet")["lesion_id"].to_numpy()
    hashes = np.array([int(digits, 16) for digits in manifest["phash"]], np.uint64)
    one, other = np.triu_indices(1000, 1)
    distance = np.bitwise_count(hashes[-1000:][one] ^ hashes[-1000:][other])
    same = lesion[-1000:][one] == lesion[-1000:][other]
    assert same.any()
    assert distance[same].max() <= 4
    assert (distance[~same] <= 4).mean() < 0.001


def test_pictures_are_many_and_different(tmp_path: Path) -> None:
    write_pictures(["a", "b", "c"], tmp_path / "pictures")
    files = sorted((tmp_path / "pictures").rglob("*.jpg"))
    assert [file.stem for file in files] == ["a", "b", "c"]
    assert len({open_picture(file).tobytes() for file in files}) == 3


def test_growth_is_the_exponent_of_processor_time() -> None:
    rows = [
        (ROWS, number, "splits", 99.0, cpu, 2**30, "", "2026-01-01")
        for number, cpu in ((10, 0.1), (100, 1.0), (1000, 100.0))
    ]
    rows.append((ROWS, 1000, "leakage_audit", 1.0, 1.0, 2**30, "pairs 7", "2026-01-01"))
    steps = pd.DataFrame(rows, columns=COLUMNS)
    growth = with_growth(steps)["growth"].tolist()
    assert [math.isnan(one) for one in growth] == [True, True, False, True]
    assert growth[2] == pytest.approx(2)
    table = steps_table(steps, ROWS)
    assert "2.00" in table
    assert "1.00" in table
    assert table in report_markdown(steps, "make bench-scale", "idle")


def test_figures_are_shown_kind_by_kind_and_size_by_size() -> None:
    measured = [
        (kind, number, step, 1.0, 1.0, 2**30, "", "2026-01-01")
        for kind, number, step in (
            ("pictures", 10, "manifest"),
            ("rows", 100, "splits"),
            ("rows", 20, "leakage_audit"),
            ("rows", 20, "splits"),
        )
    ]
    assert in_order_of_size(measured)[["kind", "number", "step"]].to_numpy().tolist() == [
        ["rows", 20, "splits"],
        ["rows", 20, "leakage_audit"],
        ["rows", 100, "splits"],
        ["pictures", 10, "manifest"],
    ]
