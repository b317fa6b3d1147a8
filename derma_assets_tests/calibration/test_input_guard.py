from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from derma_assets.calibration import assets
from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.calibration.input_guard import (
    REASONS,
    InputGuard,
    Measure,
    read_guard,
    reasons_table,
    write_guard,
)
from derma_assets.calibration.limits import HIGH_SHARES, LOW_SHARES, choose_limits
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import building_folder, stored_path
from derma_assets_tests.small_study import SIZE, upstream

FINE = {"brightness": 150.0, "sharpness": 40.0, "lesion_contrast": 90.0, "unfamiliarity": 200.0}


@pytest.fixture(scope="module")
def guard() -> InputGuard:
    return InputGuard(
        measures=[
            Measure("brightness", 60.0, 230.0),
            Measure("sharpness", 5.0, None),
            Measure("lesion_contrast", 20.0, None),
            Measure("unfamiliarity", None, 700.0),
        ],
        familiarity=fit_familiarity(np.random.default_rng(0).normal(size=(40, 16)), "conv_pw_11_relu"),
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"brightness": 60.0, "sharpness": 5.0, "lesion_contrast": 20.0, "unfamiliarity": 700.0}, ""),
        ({"brightness": 59.9}, "too_dark"),
        ({"brightness": 230.1}, "too_bright"),
        ({"sharpness": 4.9}, "blurred"),
        ({"sharpness": 1e9}, ""),
        ({"lesion_contrast": 19.9}, "no_lesion"),
        ({"unfamiliarity": 700.1}, "unfamiliar"),
        ({"unfamiliarity": np.nan}, "unfamiliar"),
        ({"brightness": 10.0, "sharpness": 0.0, "lesion_contrast": 0.0, "unfamiliarity": 9e9}, "too_dark"),
        ({"brightness": 250.0, "sharpness": 0.0, "lesion_contrast": 0.0}, "too_bright"),
        ({"sharpness": 0.0, "lesion_contrast": 0.0, "unfamiliarity": 9e9}, "blurred"),
        ({"lesion_contrast": 0.0, "unfamiliarity": 9e9}, "no_lesion"),
    ],
)
def test_the_first_reason_counts(guard: InputGuard, changes: dict[str, float], reason: str) -> None:
    values = {name: np.array([value]) for name, value in {**FINE, **changes}.items()}
    assert guard.refusals(values).tolist() == [reason]


def test_reasons_are_counted(guard: InputGuard) -> None:
    values = {name: np.full(4, value) for name, value in FINE.items()}
    values["sharpness"][1:3] = 0
    counts = reasons_table(guard.refusals(values))
    assert counts["reason"].tolist() == list(REASONS)
    assert counts.set_index("reason")["pictures"].to_dict() == {**dict.fromkeys(REASONS, 0), "blurred": 2}


def test_what_is_written_is_read_again(guard: InputGuard, tmp_path: Path) -> None:
    write_guard(tmp_path / "one", guard)
    write_guard(tmp_path / "two", guard)
    assert sha256_of_files(tmp_path / "one") == sha256_of_files(tmp_path / "two")
    read = read_guard(tmp_path / "one")
    assert read.measures == guard.measures
    assert read.document() == {
        "measures": [
            {"name": "brightness", "low": 60.0, "high": 230.0},
            {"name": "sharpness", "low": 5.0, "high": None},
            {"name": "lesion_contrast", "low": 20.0, "high": None},
            {"name": "unfamiliarity", "low": None, "high": 700.0},
        ]
    }
    np.testing.assert_array_equal(read.familiarity.components, guard.familiarity.components)


def drawn(count: int, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {
        "brightness": np.clip(draw.normal(150, 20, count), 0, 255),
        "sharpness": draw.lognormal(3.5, 0.8, count),
        "lesion_contrast": draw.lognormal(4.5, 0.4, count),
        "unfamiliarity": draw.lognormal(5.5, 0.3, count),
    }


def test_limits_refuse_the_shares_of_many_pictures(guard: InputGuard) -> None:
    values = drawn(20_000, 0)
    limits = choose_limits(values)
    for name, (low, high) in limits.items():
        assert (values[name] < (low or -np.inf)).mean() == pytest.approx(LOW_SHARES.get(name, 0), abs=1e-4)
        assert (values[name] > (high or np.inf)).mean() == pytest.approx(HIGH_SHARES.get(name, 0), abs=1e-4)
    measures = [Measure(name, *ends) for name, ends in limits.items()]
    refused = InputGuard(measures, guard.familiarity).refusals(drawn(20_000, 1)) != ""
    assert refused.mean() == pytest.approx(sum(LOW_SHARES.values()) + sum(HIGH_SHARES.values()), rel=0.3)


def test_limits_of_few_pictures_lie_beyond_all_of_them() -> None:
    values = drawn(64, 0)
    limits = choose_limits(values)
    assert limits["sharpness"] == (pytest.approx(values["sharpness"].min() / 1.25), None)
    assert limits["unfamiliarity"] == (None, pytest.approx(values["unfamiliarity"].max() * 1.25))
    low, high = limits["brightness"]
    assert low == pytest.approx(values["brightness"].min() / 1.25)
    assert high == pytest.approx(255 - (255 - values["brightness"].max()) / 1.25)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dg.ExecuteInProcessResult, Path]:
    folder = tmp_path_factory.mktemp("guard")
    store = folder / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "building_folder", lambda _, asset: building_folder(store, asset))
        result = dg.materialize([*upstream(folder), assets.input_guard], resources=io_managers(store))
    return result, stored_path(store, "input_guard", "folder")


def test_the_asset_holds_a_guard_that_accepts_validation(run: tuple[dg.ExecuteInProcessResult, Path]) -> None:
    result, stored = run
    assert result.success
    guard = read_guard(stored)
    assert [measure.name for measure in guard.measures] == list(FINE)
    assert guard.familiarity.mean.shape == (128,), "a quarter of the 512 channels, as the model has a quarter"
    (materialized,) = result.asset_materializations_for_node("input_guard")
    assert materialized.metadata["refused_of_validation"].value == 0
    assert materialized.metadata["validation_pictures"].value == 21
    assert "image/png" in str(materialized.metadata["measures"].value)


def test_the_guard_refuses_black_and_white_and_nothing(run: tuple[dg.ExecuteInProcessResult, Path]) -> None:
    guard = read_guard(run[1])
    plain = np.stack([np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (0, 255, 150)])
    values = guard.measured(plain, np.tile(guard.familiarity.mean, (3, 1)))
    assert guard.refusals(values).tolist() == ["too_dark", "too_bright", "blurred"]
