"""The folder of new pictures, looked at again and again while somebody copies into it."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from derma_assets.automation import sensors, watch
from derma_assets.automation.watch import look
from derma_assets.dataset import incoming as incoming_module
from derma_assets.dataset.incoming import Batch, dropped_pictures, read_batches
from derma_assets.dataset.manifest import Known, PictureFile, build_manifest, examine
from derma_assets.settings import Settings
from derma_assets.storage.paths import stored_path
from derma_assets_tests.dataset.test_incoming import ALL, METADATA, NEW, drop


def test_a_batch_is_asked_for_once_when_it_is_whole_and_settled(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    assert look(incoming, None).request is None
    folder = drop(incoming)
    picture = folder / "pictures" / f"{NEW['image_id'].iloc[0]}.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content[:100])
    first = look(incoming, None)
    assert (first.request, "changed" in first.said) == (None, True)
    half = look(incoming, first.cursor)
    assert half.request is None
    assert "clinic-1 waits for" in half.said
    picture.write_bytes(content)
    moving = look(incoming, half.cursor)
    assert moving.request is None
    whole = look(incoming, moving.cursor)
    assert whole.request is not None
    assert "whole: clinic-1" in whole.said
    again = look(incoming, whole.cursor)
    assert (again.request, again.said) == (None, "nothing new")


def test_what_changes_while_it_is_looked_at_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = tmp_path / "incoming"
    folder = drop(incoming)
    first = look(incoming, None)

    def slowly(path: Path, known: Known | None) -> list[Batch]:
        found = read_batches(path, known)
        (folder / "more.jpg").write_bytes(b"half")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(watch, "read_batches", slowly)
        moving = look(incoming, first.cursor)
    assert (moving.request, "during this look" in moving.said) == (None, True)
    (folder / "more.jpg").unlink()
    settling = look(incoming, moving.cursor)
    assert settling.request is None
    assert look(incoming, settling.cursor).request is not None


def test_a_batch_that_is_taken_away_again_is_noticed(tmp_path: Path) -> None:
    incoming, asked, cursor = tmp_path / "incoming", [], None
    folder = drop(incoming)
    for step in range(8):
        if step == 4:
            shutil.rmtree(folder)
        found = look(incoming, cursor)
        cursor = found.cursor
        asked.append(found.request)
    assert [step for step, request in enumerate(asked) if request] == [1, 5]


def test_what_was_there_once_is_asked_for_again_under_another_name(tmp_path: Path) -> None:
    # Dagster starts no run for a name that a run has had.
    incoming, asked, cursor = tmp_path / "incoming", list[str](), None
    there = ({"a"}, {"a", "b"}, {"a"}, set(), {"a"}, set())
    batches = {"a": ALL.iloc[40:50], "b": ALL.iloc[50:60]}
    for wanted in there:
        for name, rows in batches.items():
            if name in wanted and not (incoming / name).exists():
                drop(incoming, name, rows)
            elif name not in wanted:
                shutil.rmtree(incoming / name, ignore_errors=True)
        for _ in range(3):
            found = look(incoming, cursor)
            cursor = found.cursor
            asked += [found.request] if found.request else []
    assert len(set(asked)) == len(asked) == len(there)


def test_of_a_picture_that_is_replaced_the_pictures_are_asked_for(tmp_path: Path) -> None:
    incoming, asked, cursor = tmp_path / "incoming", [], None
    folder = drop(incoming)
    names = NEW["image_id"]
    pictures = [folder / "pictures" / f"{name}.jpg" for name in names.iloc[:2]]
    for change in ("nothing", "picture", "table"):
        if change == "picture":
            pictures[0].write_bytes(pictures[1].read_bytes())
        if change == "table":
            table = (folder / METADATA).read_text()
            (folder / METADATA).write_text(table.replace("female", "male"))
            pictures[0].touch()
        for _ in range(3):
            found = look(incoming, cursor)
            cursor = found.cursor
            asked += [found.of] if found.request else []
    assert asked == ["raw_metadata", "raw_images", "raw_metadata"]


def test_a_second_batch_is_asked_for_though_a_third_is_not_whole(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    drop(incoming, "a", ALL.iloc[40:50])
    asked, cursor = [], None
    for _ in range(3):
        found = look(incoming, cursor)
        asked.append(found.request)
        cursor = found.cursor
    drop(incoming, "b", ALL.iloc[50:60])
    (drop(incoming, "c", ALL.iloc[60:70]) / METADATA).unlink()
    settling = look(incoming, cursor)
    found = look(incoming, settling.cursor)
    assert found.request not in (None, *asked)
    assert found.said == f"whole: a, b; c waits for no {METADATA}"


def test_the_sensor_asks_for_the_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    monkeypatch.setattr(sensors, "settings", lambda: chosen)
    drop(chosen.incoming)
    cursor: str | None = None
    asked = []
    for _ in range(4):
        context = dg.build_sensor_context(cursor=cursor)
        result = sensors.new_pictures(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        asked += result.run_requests or []
    (request,) = asked
    assert request.run_key == request.tags["derma/incoming"]
    assert request.tags["dagster/max_retries"] == "2"
    assert request.asset_selection == [dg.AssetKey("raw_metadata")]


def test_the_sensor_reads_no_picture_twice_nor_one_that_the_last_run_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    monkeypatch.setattr(sensors, "settings", lambda: chosen)
    read = []

    def examined(image_id: str, path: Path) -> PictureFile:
        read.append(path)
        return examine(image_id, path)

    monkeypatch.setattr(incoming_module, "examine", examined)
    drop(chosen.incoming, "a", ALL.iloc[40:50])
    pictures = dropped_pictures(chosen.incoming)
    stored = build_manifest(list(pictures), pictures, chosen.incoming, None).table
    chosen.store.mkdir(parents=True)
    stored.to_parquet(stored_path(chosen.store, "raw_images", "table"))
    fresh = drop(chosen.incoming, "b", ALL.iloc[50:60])
    cursor: str | None = None
    for _ in range(4):
        cursor = sensors.new_pictures(dg.build_sensor_context(cursor=cursor)).cursor  # type: ignore[union-attr]
    assert sorted(read) == sorted(fresh.rglob("*.jpg"))


def test_what_a_mac_adds_is_not_looked_at(tmp_path: Path) -> None:
    folder = drop(tmp_path / "incoming")
    first = look(tmp_path / "incoming", None)
    (folder / ".DS_Store").write_bytes(b"1")
    (folder / "pictures" / f"._{NEW['image_id'].iloc[0]}.jpg").write_bytes(b"2")
    assert look(tmp_path / "incoming", first.cursor).request is not None


def test_sensors_are_off_until_someone_turns_them_on() -> None:
    for sensor in (sensors.new_pictures, sensors.new_content, sensors.failed_run):
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
