"""No lesion changes sides: not when the split is damaged, nor when a batch is away for a while."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets.settings import Settings
from derma_assets.splits import assets
from derma_assets.splits.grouped_splits import split_by_lesion
from derma_assets.storage.io_managers import TableIOManager, io_managers
from derma_assets.storage.records import RECORDS
from derma_assets_tests.splits.generated import manifest, metadata


def lesions(clinic: str, each: int) -> pd.DataFrame:
    """Return metadata of so many lesions of each diagnosis that no other clinic has, a picture each."""
    table = metadata([each] * 7).drop_duplicates("lesion_id")
    names = clinic + table["lesion_id"]
    return table.assign(lesion_id=names, image_id=names + "_1").reset_index(drop=True)


BASE, FIRST, SECOND, THIRD = lesions("base", 20), lesions("first", 9), lesions("second", 8), lesions("third", 6)
EVERYTHING = pd.concat([BASE, FIRST, SECOND], ignore_index=True)


class Study:
    """A store that the data of each run are split into."""

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch, storage: str = "") -> None:
        self._settings = {"dataset": "sample", "data_dir": data_dir, "storage": storage}
        self._monkeypatch = monkeypatch
        self.store = Settings(**self._settings).store

    def run(self, *tables: pd.DataFrame, seed: int = 42, training: bool = False) -> dg.ExecuteInProcessResult:
        data = pd.concat(tables, ignore_index=True)
        chosen = Settings(**self._settings, seed=seed)
        self._monkeypatch.setattr(assets, "settings", lambda: chosen)
        pictures = manifest(data["image_id"].tolist())
        upstream = {"raw_metadata": data, "raw_images": pictures, "data_drift": pd.DataFrame()}
        made = [assets.grouped_splits, *([assets.training_set] if training else [])]
        return dg.materialize(
            [*(made_up(name, value) for name, value in upstream.items()), *made],
            resources=io_managers(self.store),
            raise_on_error=False,
        )

    def sides(self, *tables: pd.DataFrame, seed: int = 42, training: bool = False) -> pd.DataFrame:
        """Return side and fold by lesion."""
        run = self.run(*tables, seed=seed, training=training)
        assert run.success
        splits = run.output_for_node("grouped_splits")
        return splits.drop_duplicates("lesion_id").set_index("lesion_id")[["split", "fold"]]

    def damage(self, *names: str) -> None:
        for name in names:
            path = self.store / f"{name}.parquet"
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)


def made_up(name: str, value: pd.DataFrame) -> dg.AssetsDefinition:
    @dg.asset(name=name, io_manager_key="table")
    def asset() -> pd.DataFrame:
        return value

    return asset


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(tmp_path, monkeypatch)


def assert_where_they_were(before: pd.DataFrame, now: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(now.loc[before.index], before)


def test_dealing_anew_would_move_lesions() -> None:
    """Else nothing here would be shown by their staying where they are."""
    anew = split_by_lesion(EVERYTHING, 0.2, 0.2, folds=5, seed=42)
    few = split_by_lesion(BASE, 0.2, 0.2, folds=5, seed=42)
    grown = split_by_lesion(EVERYTHING, 0.2, 0.2, folds=5, seed=42, earlier=few)
    assert (anew["split"] != grown["split"]).any()


def test_a_split_damaged_after_the_data_have_grown_is_made_again_as_it_was(study: Study) -> None:
    study.sides(BASE)
    grown = study.sides(BASE, FIRST, SECOND)
    whole = (study.store / "grouped_splits.parquet").read_bytes()
    study.damage("grouped_splits")
    assert_where_they_were(grown, study.sides(BASE, FIRST, SECOND))
    assert (study.store / "grouped_splits.parquet").read_bytes() == whole


def test_a_batch_that_was_away_for_a_run_comes_back_to_where_it_was(study: Study) -> None:
    before = study.sides(BASE, FIRST)
    run = study.run(BASE, SECOND)
    (made,) = run.asset_materializations_for_node("grouped_splits")
    assert (made.metadata["new_lesions"].value, made.metadata["away_lesions"].value) == (7 * 8, 7 * 9)
    now = study.sides(BASE, FIRST, SECOND)
    assert_where_they_were(before, now)
    splits = run.output_for_node("grouped_splits").set_index("lesion_id")[["split", "fold"]]
    assert_where_they_were(splits, now)


def test_a_damaged_ledger_is_made_again_of_the_split(study: Study, caplog: pytest.LogCaptureFixture) -> None:
    study.sides(BASE)
    before = study.sides(BASE, FIRST)
    study.damage("dealt_lesions")
    grown = study.sides(BASE, FIRST, SECOND)
    assert "dealt_lesions.parquet is damaged" in caplog.text
    assert_where_they_were(before, grown)
    study.damage("grouped_splits")
    assert_where_they_were(grown, study.sides(BASE, FIRST, SECOND))


def test_the_last_training_set_remembers_too(study: Study) -> None:
    study.sides(BASE, training=True)
    before = study.sides(BASE, FIRST, training=True)
    study.damage("dealt_lesions", "grouped_splits")
    assert_where_they_were(before, study.sides(BASE, FIRST, SECOND))


def test_a_store_from_before_the_ledger_is_continued(study: Study) -> None:
    study.sides(BASE)
    before = study.sides(BASE, FIRST)
    for path in (study.store / "dealt_lesions.parquet", study.store / RECORDS / "dealt_lesions.json"):
        path.unlink()
    study.sides(BASE, SECOND)
    assert_where_they_were(before, study.sides(BASE, FIRST, SECOND))


def test_nothing_is_dealt_anew_where_nothing_that_was_stored_can_be_read(study: Study) -> None:
    study.sides(BASE, training=True)
    study.sides(BASE, FIRST, training=True)
    names = ("dealt_lesions", "grouped_splits", "training_set")
    study.damage(*names)
    damaged = {name: (study.store / f"{name}.parquet").read_bytes() for name in names}
    run = study.run(BASE, FIRST, SECOND)
    assert not run.success
    said = str(run.failure_data_for_node("grouped_splits").user_failure_data.description)
    assert all(str(study.store / f"{name}.parquet") in said for name in names)
    assert "from a backup" in said
    assert {name: (study.store / f"{name}.parquet").read_bytes() for name in names} == damaged
    for name in names:
        (study.store / f"{name}.parquet").unlink()
    anew = split_by_lesion(BASE, 0.2, 0.2, folds=5, seed=42).set_index("lesion_id")[["split", "fold"]]
    pd.testing.assert_frame_equal(study.sides(BASE), anew)


def test_lesions_dealt_in_another_way_meanwhile_are_not_forgotten(study: Study) -> None:
    study.sides(BASE)
    before = study.sides(BASE, FIRST)
    other = study.sides(BASE, FIRST, seed=7)
    assert (other["split"] != before["split"]).any()
    assert_where_they_were(before, study.sides(BASE, FIRST, SECOND))
    assert_where_they_were(other, study.sides(BASE, FIRST, SECOND, seed=7))


def test_what_was_dealt_by_a_run_that_could_not_store_its_split_stays(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.sides(BASE)
    with monkeypatch.context() as patched:
        patched.setattr(TableIOManager, "write", full_for("grouped_splits", TableIOManager.write))
        assert not study.run(BASE, FIRST).success
    dealt = pd.read_parquet(study.store / "dealt_lesions.parquet").set_index("lesion_id")[["split", "fold"]]
    assert len(dealt) == 7 * (20 + 9)
    assert_where_they_were(dealt, study.sides(BASE, FIRST, SECOND))


def full_for(asset: str, real: Callable[..., None]) -> Callable[..., None]:
    def write(manager: TableIOManager, obj: pd.DataFrame, path: Path) -> None:
        if path.name.startswith(f".{asset}."):
            raise OSError(28, "No space left on device")
        real(manager, obj, path)

    return write
