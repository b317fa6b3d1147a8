"""Promoted bundles: switched as a whole, five kept, one command back."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from derma_assets.errors import InputError, StorageError
from derma_assets.promotion import served
from derma_assets.promotion.gate import Judged
from derma_assets.promotion.served import CURRENT, current, promote, promoted, roll_back
from derma_assets_tests.calibration.made_up import predictions

JUDGED = Judged(predictions(lesions_per_class=3), 1.5, {"melanoma": {"threshold": 0.2}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "released"


def bundle(tmp_path: Path, text: str) -> Path:
    path = tmp_path / f"bundle-{text}"
    path.mkdir(exist_ok=True)
    for name in ("index.html", "manifest.json"):
        (path / name).write_text(text)
    return path


def test_what_was_promoted_last_is_served(folder: Path, tmp_path: Path) -> None:
    assert current(folder) is None
    for text in ("one", "two"):
        promote(folder, bundle(tmp_path, text), JUDGED, {"model": text})
    now = current(folder)
    assert now is not None
    assert (now.number, now.document["model"]) == (2, "two")
    assert (folder / CURRENT / "bundle" / "index.html").read_text() == "two"
    again = now.judged()
    pd.testing.assert_frame_equal(again.predictions, JUDGED.predictions)
    assert (again.temperature, again.points) == (JUDGED.temperature, JUDGED.points)


def test_five_are_kept(folder: Path, tmp_path: Path) -> None:
    for number in range(7):
        promote(folder, bundle(tmp_path, str(number)), JUDGED, {"model": str(number)})
    assert [one.number for one in promoted(folder)] == [7, 6, 5, 4, 3]
    assert sorted(path.name for path in folder.iterdir()) == ["0003", "0004", "0005", "0006", "0007", CURRENT]


def test_going_back_and_on_again(folder: Path, tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        promote(folder, bundle(tmp_path, text), JUDGED, {"model": text})
    assert roll_back(folder).document["model"] == "two"
    assert roll_back(folder).document["model"] == "one"
    with pytest.raises(InputError, match="nothing to go back to"):
        roll_back(folder)
    assert (folder / CURRENT / "bundle" / "index.html").read_text() == "one"
    promote(folder, bundle(tmp_path, "four"), JUDGED, {"model": "four"})
    now = current(folder)
    assert now is not None
    assert now.number == 4


def test_nothing_to_go_back_from(folder: Path) -> None:
    with pytest.raises(InputError, match="nothing in"):
        roll_back(folder)


def test_a_promotion_that_fails_changes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(folder, bundle(tmp_path, "one"), JUDGED, {"model": "one"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(served, "copy_folder", full)
        with pytest.raises(StorageError, match="disk is full"):
            promote(folder, bundle(tmp_path, "two"), JUDGED, {"model": "two"})
    assert [one.number for one in promoted(folder)] == [1]
    assert (folder / CURRENT / "bundle" / "index.html").read_text() == "one"
    assert sorted(path.name for path in folder.iterdir()) == ["0001", CURRENT]


def test_a_reader_always_finds_a_whole_bundle(folder: Path, tmp_path: Path) -> None:
    sources = [bundle(tmp_path, text) for text in ("a", "b")]
    promote(folder, sources[0], JUDGED, {"model": "0"})
    torn: list[Any] = []
    stop, reads = threading.Event(), 0

    def read() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                # Through the link, as a web server does, which knows nothing of numbers.
                page = (folder / CURRENT / "bundle" / "index.html").read_text()
                # A server that has resolved the link for a request finds the rest of it there.
                there = folder / os.readlink(folder / CURRENT) / "bundle"
                seen = {(there / name).read_text() for name in ("index.html", "manifest.json")}
            except OSError as error:
                torn.append(error)
                continue
            if len(seen) != 1 or page not in ("a", "b"):
                torn.append((page, seen))
            reads += 1

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        before = reads
        promote(folder, sources[number % 2], JUDGED, {"model": str(number)})
        while reads <= before + 1 and not torn:  # on a busy machine too it reads before and after each switch
            time.sleep(0.001)
    stop.set()
    reader.join()
    assert torn == []


class _Killed(BaseException):
    """What a process that is killed does not get past."""


def killed(*_: object) -> None:
    raise _Killed


def test_a_promotion_killed_before_the_switch_never_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(folder, bundle(tmp_path, "one"), JUDGED, {"model": "one"})
    with monkeypatch.context() as patched, pytest.raises(_Killed):
        patched.setattr(served, "_switch", killed)
        promote(folder, bundle(tmp_path, "two"), JUDGED, {"model": "two"})
    assert sorted(path.name for path in folder.iterdir()) == ["0001", "0002", CURRENT]
    assert [one.number for one in promoted(folder)] == [1]
    now = promote(folder, bundle(tmp_path, "two"), JUDGED, {"model": "two"})
    assert now.number == 2
    assert (folder / CURRENT / "bundle" / "index.html").read_text() == "two"
    assert roll_back(folder).number == 1
    assert [one.number for one in promoted(folder)] == [2, 1], "what was rolled back was served"


def test_a_promotion_killed_after_the_switch_is_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(folder, bundle(tmp_path, "one"), JUDGED, {"model": "one"})
    real = os.replace

    def switch_then_die(*paths: Path) -> None:
        real(*paths)
        raise _Killed

    served._write(folder / "0002", bundle(tmp_path, "two"), JUDGED, {})
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", switch_then_die)
        with pytest.raises(_Killed):
            served._switch(folder, "0002")
    assert [one.number for one in promoted(folder)] == [2, 1]
    assert roll_back(folder).number == 1
    assert [one.number for one in promoted(folder)] == [2, 1]


def test_half_removed_ones_are_none_and_go(folder: Path, tmp_path: Path) -> None:
    promote(folder, bundle(tmp_path, "one"), JUDGED, {"model": "one"})
    (folder / "0001" / "promotion.json").unlink()
    assert promoted(folder) == []
    promote(folder, bundle(tmp_path, "two"), JUDGED, {"model": "two"})
    assert [one.document["model"] for one in promoted(folder)] == ["two"]


def test_what_somebody_has_gone_back_from_is_passed_over(folder: Path, tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        promote(folder, bundle(tmp_path, text), JUDGED, {"model": text})
    assert roll_back(folder).number == 2
    promote(folder, bundle(tmp_path, "four"), JUDGED, {"model": "four"})
    assert [one.number for one in promoted(folder) if one.went_back] == [3]
    assert roll_back(folder).number == 2, "it was served before the fourth; the third was taken back on purpose"


DAMAGED = {"no JSON": b"{", "another value": None, "no document": b"[]", "not text": b"\xff"}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_document_is_left_out_and_told(
    kind: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("one", "two", "three"):
        promote(folder, bundle(tmp_path, text), JUDGED, {"model": text})
    path = folder / "0002" / "promotion.json"
    path.write_bytes(DAMAGED[kind] or path.read_bytes().replace(b"1.5", b"1.6"))
    assert [one.number for one in promoted(folder)] == [3, 1]
    assert f"{path} is damaged" in caplog.text
    assert roll_back(folder).number == 1


def test_a_document_of_an_earlier_version_is_read(folder: Path, tmp_path: Path) -> None:
    promote(folder, bundle(tmp_path, "one"), JUDGED, {"model": "one"})
    path = folder / "0001" / "promotion.json"
    kept = {name: value for name, value in json.loads(path.read_text()).items() if "itself" not in name}
    kept.pop("predictions_sha256")
    path.write_text(json.dumps(kept))
    now = current(folder)
    assert now is not None
    assert now.damaged() == []
    pd.testing.assert_frame_equal(now.judged().predictions, JUDGED.predictions)


def test_one_can_go_back_from_what_has_lost_its_document(folder: Path, tmp_path: Path) -> None:
    for text in ("one", "two"):
        promote(folder, bundle(tmp_path, text), JUDGED, {"model": text})
    (folder / "0002" / "promotion.json").unlink()
    assert current(folder) is None
    assert roll_back(folder).number == 1


def test_nobody_goes_back_to_a_damaged_bundle(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("one", "two", "three"):
        promote(folder, bundle(tmp_path, text), JUDGED, {"model": text})
    (folder / "0002" / "bundle" / "index.html").write_text("twp")
    assert roll_back(folder).number == 1
    assert "0002/bundle is damaged" in caplog.text


def test_predictions_are_compared_only_as_they_were_written(folder: Path, tmp_path: Path) -> None:
    one = promote(folder, bundle(tmp_path, "one"), JUDGED, {"model": "one"})
    # Another table, that can be read as well as the first.
    JUDGED.predictions.assign(logit_mel=0.0).to_parquet(one.folder / "predictions.parquet")
    assert one.damaged() == ["predictions.parquet"]
    with pytest.raises(InputError, match="not what was written"):
        one.judged()
