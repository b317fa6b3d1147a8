"""Assets in a real S3 server's bucket: what one machine stores another reads, and no fault shows anybody half of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from upath import UPath

from derma_assets.errors import StorageError, UserError
from derma_assets.settings import settings
from derma_assets.storage import clean
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import EXTENSIONS, address_of_copy, store_path, stored_path
from derma_assets.storage.published import (
    fetched_partition,
    fetched_partitions,
    fetched_path,
    keep_check,
    known_record,
    missing_files,
    publish_again,
)
from derma_assets.storage.remote import RemoteStore
from derma_assets_tests.s3_server import Fault
from derma_assets_tests.shared_bucket import Shared


class Model:
    """Saves as a Keras model does, without the time that importing TensorFlow takes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def save(self, path: Path) -> None:
        path.write_bytes(self.content)


def store(copy: Path, key: str, value: Any, asset: str = "asset") -> None:
    manager = io_managers(copy)[key]
    manager.handle_output(dg.build_output_context(asset_key=dg.AssetKey(asset)), value)


def load(copy: Path, key: str, asset: str = "asset") -> Any:
    path = UPath(stored_path(copy, asset, key))
    return io_managers(copy)[key].load_from_path(dg.build_input_context(asset_key=dg.AssetKey(asset)), path)


def folder_of(place: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        file = place / "inner" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "inner").iterdir()}


def said_by(failing: Callable[[], Any]) -> str:
    with pytest.raises((dg.Failure, UserError)) as raised:
        failing()
    return str(raised.value.description if isinstance(raised.value, dg.Failure) else raised.value)


def test_every_kind_of_asset_is_read_on_another_machine(shared: Shared, tmp_path: Path) -> None:
    table = pd.DataFrame({"image_id": ["a", "b"], "age": [1.5, None]}, index=[3, 4])
    values = {
        "table": table,
        "document": {"temperature": 1.25},
        "keras_model": Model(b"weights"),
        "folder": folder_of(tmp_path / "built", a=b"1", b=b"", c=b""),
    }
    assert values.keys() == EXTENSIONS.keys()
    a, b = shared.machine("a"), shared.machine("b")
    for key, value in values.items():
        store(a, key, value, asset=key)
    pd.testing.assert_frame_equal(load(b, "table", "table"), table)
    assert load(b, "document", "document") == {"temperature": 1.25}
    assert load(b, "keras_model", "keras_model").path.read_bytes() == b"weights"
    assert contents(load(b, "folder", "folder")) == {"a": b"1", "b": b"", "c": b""}
    layouts = [{name: one for name, one in sha256_of_files(copy).items() if ".locks" not in name} for copy in (a, b)]
    assert layouts[0] == layouts[1]  # records and all
    for key in values:
        assert stored_path(a, key, key).stat().st_mtime == pytest.approx(
            stored_path(b, key, key).stat().st_mtime, abs=60
        )


def test_a_key_says_what_is_there_and_is_never_written_to_twice(shared: Shared, tmp_path: Path) -> None:
    a = shared.machine("a")
    store(a, "folder", folder_of(tmp_path / "one", same=b"same", other=b"first"))
    before = shared.objects()
    written = shared.proxy.make(Fault("slow", method="PUT", key="/files/"))
    store(a, "folder", folder_of(tmp_path / "two", same=b"same", other=b"second"))
    after = shared.objects()
    assert written.happened == 1, "only the file that changed is uploaded"
    files = {key for key in before if "/files/" in key}
    assert all(before[key] == after[key] for key in files)
    assert all(key.startswith("derma/sample/files/") and len(key.split("/")[3]) == 64 for key in files)
    assert sorted(key for key in after if "/files/" not in key) == ["derma/sample/.records/asset.json"]


def test_what_two_assets_have_is_there_once(shared: Shared, tmp_path: Path) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    store(a, "folder", folder_of(tmp_path / "shard", pixels=b"pixels"), asset="shard")
    written = shared.proxy.make(Fault("slow", method="PUT", key="/files/"))
    store(a, "folder", folder_of(tmp_path / "arrays", pixels=b"pixels", index=b"index"), asset="arrays")
    assert written.happened == 1
    assert len([key for key in shared.objects() if key.endswith("/pixels")]) == 1
    assert contents(load(b, "folder", "shard")) == {"pixels": b"pixels"}
    assert contents(load(b, "folder", "arrays")) == {"pixels": b"pixels", "index": b"index"}


def test_stores_in_one_bucket_keep_apart(shared: Shared) -> None:
    places = [("derma", "sample"), ("derma", "ham10000"), ("derma/more", "sample"), ("derma2", "sample")]
    for prefix, dataset in places:
        store(shared.machine("a", prefix, dataset), "document", {"of": [prefix, dataset]})
    for prefix, dataset in places:
        assert load(shared.machine("b", prefix, dataset), "document") == {"of": [prefix, dataset]}


def test_the_newest_version_is_read_whoever_wrote_it(shared: Shared) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    for number, machine in enumerate([a, b, a, b]):
        store(machine, "document", {"number": number})
        assert load(a, "document") == load(b, "document") == {"number": number}


FAULTS = {
    "500": Fault("status", times=2, status=500, code="InternalError"),
    "503": Fault("status", times=2, status=503, code="SlowDown"),
    "slow": Fault("slow", seconds=3),  # longer than the timeout, but never silent for so long
    "silent": Fault("silent", times=1, seconds=3),
    "cut download": Fault("cut download", method="GET", key="/files/", times=2),
    "cut upload": Fault("cut upload", method="PUT", times=2),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_passes_is_survived(
    name: str, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[name]
    if name in ("slow", "silent"):
        monkeypatch.setenv("DERMA_STORAGE_TIMEOUT_S", "2")
        settings.cache_clear()
    a, b = shared.machine("a"), shared.machine("b")
    content = {"large": os.urandom(400_000), "small": b"small"}
    built = folder_of(tmp_path / "built", **content)
    fault.happened = 0
    if name != "cut download":
        shared.proxy.make(fault)
        store(a, "folder", built)
        assert fault.happened
    else:
        store(a, "folder", built)
    if name != "cut upload":
        fault.happened = 0
        shared.proxy.make(fault)
    assert contents(load(b, "folder")) == content
    assert fault.happened


ENDLESS = {
    "500": (Fault("status", status=500), "does not answer as it should, after 3 attempts"),
    "silent": (Fault("silent", seconds=1.5), "does not answer as it should, after 2 attempts"),
    "cut upload": (Fault("cut upload", method="PUT", key="/files/"), "does not answer as it should, after 3 attempts"),
    "record": (Fault("status", method="PUT", key="/.records/"), r"cannot write .records/asset.json"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_fault_that_stays_is_told_and_the_old_version_kept(
    name: str, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, told = ENDLESS[name]
    if name == "silent":
        monkeypatch.setenv("DERMA_STORAGE_ATTEMPTS", "2")
        monkeypatch.setenv("DERMA_STORAGE_TIMEOUT_S", "1")
        settings.cache_clear()
    a, b, c = (shared.machine(machine) for machine in "abc")
    store(a, "folder", folder_of(tmp_path / "old", file=b"old"))
    assert contents(load(b, "folder")) == {"file": b"old"}
    shared.proxy.make(fault)
    said = said_by(lambda: store(a, "folder", folder_of(tmp_path / "new", file=b"new" * 100_000)))
    assert told in said
    assert f"{shared.address()}/sample" in said
    assert "untouched" in said
    shared.proxy.faults = []
    for machine in (a, b, c):
        assert contents(load(machine, "folder")) == {"file": b"old"}


def test_a_download_that_is_always_cut_is_told_and_what_was_there_kept(shared: Shared, tmp_path: Path) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    store(a, "folder", folder_of(tmp_path / "old", file=b"old"))
    load(b, "folder")
    store(a, "folder", folder_of(tmp_path / "new", file=os.urandom(300_000)))
    fault = shared.proxy.make(Fault("cut download", method="GET", key="/files/"))
    said = said_by(lambda: load(b, "folder"))
    assert "cut again and again" in said
    assert fault.happened > 3
    assert contents(stored_path(b, "asset", "folder")) == {"file": b"old"}
    assert not list(b.rglob("*.tmp*"))


@pytest.mark.parametrize("size", [300_000, 40_000_000], ids=["one request", "in parts"])
def test_a_writer_killed_in_mid_upload_leaves_the_old_version(size: int, shared: Shared, tmp_path: Path) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    store(a, "folder", folder_of(tmp_path / "old", file=b"old"))
    fault = shared.proxy.make(Fault("hang upload", method="PUT", key="/files/", times=1))
    built = folder_of(tmp_path / "new", file=os.urandom(size))
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(a), str(built)])
    try:
        assert fault.begun.wait(120)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        assert writer.wait(timeout=30) == -signal.SIGKILL
    assert contents(load(b, "folder")) == {"file": b"old"}
    assert contents(load(shared.machine("c"), "folder")) == {"file": b"old"}
    store(a, "folder", built)
    assert (load(b, "folder") / "inner" / "file").stat().st_size == size


# What FolderIOManager does, without the time that importing Dagster takes.
WRITER = """
import sys
from pathlib import Path
from derma_assets.storage.atomic import copy_folder, replacing
from derma_assets.storage.published import publish
from derma_assets.storage.records import record_of

store, built = Path(sys.argv[1]), Path(sys.argv[2])
with replacing(store / "asset") as beside:
    copy_folder(built, beside)
publish(store, "asset", store / "asset", record_of(store / "asset", "", None))
"""


def test_a_changed_local_copy_is_fetched_anew_and_nothing_else(shared: Shared, tmp_path: Path) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    store(a, "folder", folder_of(tmp_path / "built", one=b"one", two=b"two", three=b"three"))
    folder = load(b, "folder")
    (folder / "inner" / "one").write_bytes(b"onf")
    (folder / "inner" / "two").unlink()
    (folder / "inner" / "four").write_bytes(b"four")
    read = shared.proxy.make(Fault("slow", method="GET", key="/files/"))
    assert contents(load(b, "folder")) == {"one": b"one", "two": b"two", "three": b"three"}
    assert read.happened == 2


def test_an_object_of_other_bytes_is_told(shared: Shared) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    store(a, "document", {"a": 1})
    (key,) = (key for key in shared.objects() if "/files/" in key)
    shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=b'{"a": 2}')
    said = said_by(lambda: load(b, "document"))
    assert f"s3://{shared.bucket}/{key} is damaged" in said
    assert "DERMA_FORCE=1" in said
    assert missing_files(a, "asset", stored_path(a, "asset", "document")) == [key.removeprefix("derma/sample/")]
    store(a, "document", {"a": 1})
    assert load(b, "document") == {"a": 1}, "what is made again mends it"


def test_what_could_not_be_published_is_published_later(shared: Shared) -> None:
    a = shared.machine("a")
    shared.proxy.make(Fault("status", method="PUT"))
    said_by(lambda: store(a, "document", {"a": 1}))
    shared.proxy.faults = []
    stored = stored_path(a, "asset", "document")
    assert known_record(a, "asset") is None
    assert not fetched_path(a, "asset", "document").exists(), "not read, since nobody else can"
    assert publish_again(a, "asset", stored, made_from="something else") is None
    assert publish_again(a, "asset", stored, made_from="") is not None
    assert load(shared.machine("b"), "document") == {"a": 1}


def test_partitions_are_fetched_alone_and_together(shared: Shared) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    manager = io_managers(a)["table"]
    for fold in ("0", "1"):
        context = dg.build_output_context(asset_key=dg.AssetKey("folds"), partition_key=fold)
        path = UPath(a / "folds" / f"{fold}.parquet")
        manager.dump_to_path(context, pd.DataFrame({"fold": [int(fold)]}), path)
    assert pd.read_parquet(fetched_partition(b, "folds", "1", "table"))["fold"].tolist() == [1]
    assert not (b / "folds" / "0.parquet").exists()
    assert not fetched_partition(b, "folds", "2", "table").exists()
    assert fetched_partitions(b, "nothing", "table") == {}
    found = fetched_partitions(b, "folds", "table")
    assert {name: pd.read_parquet(path)["fold"].tolist() for name, path in found.items()} == {"0": [0], "1": [1]}


def test_what_no_record_names_is_removed_a_day_later(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    monkeypatch.setenv("DERMA_STORAGE", shared.address())
    settings.cache_clear()
    for number in (1, 2):
        store(a, "document", {"number": number})
        store(a, "document", {"number": number}, asset="other")
    everything = shared.objects().keys()
    assert clean.main(["--remove"]) == 0
    assert shared.objects().keys() == everything, "somebody may be about to name it in a record"
    later = time.time() + 25 * 3600
    monkeypatch.setattr(clean.time, "time", lambda: later)
    assert clean.main([]) == 0
    assert "2 files" in capsys.readouterr().out
    assert shared.objects().keys() == everything, "only said, not done"
    assert clean.main(["--remove"]) == 0
    assert len(shared.objects()) == len(everything) - 2
    assert load(b, "document") == load(b, "document", "other") == {"number": 2}


FOREIGN = {
    "a field more": b'{"record": {"made_from": "", "data_version": "1", "sha256": {}}, "stored_as": "later", '
    b'"bytes_of": {}, "stored_at": 1, "packed": true}',
    "no record": b"{}",
    "no JSON": b"<html>",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_is_removed_where_a_record_is_of_another_version(
    name: str, shared: Shared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DERMA_STORAGE", shared.address())
    monkeypatch.setenv("DERMA_STORAGE_ATTEMPTS", "1")
    settings.cache_clear()
    a = shared.machine("a")
    for number in (1, 2):
        store(a, "document", {"number": number})
    key = "derma/sample/.records/later.json"
    shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=FOREIGN[name])
    everything = shared.objects()
    later = time.time() + 25 * 3600
    monkeypatch.setattr(clean.time, "time", lambda: later)
    assert clean.main(["--remove"]) == 1
    assert ".records/later.json" in capsys.readouterr().err
    assert shared.objects() == everything


def test_only_files_and_states_are_removed(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DERMA_STORAGE", shared.address())
    settings.cache_clear()
    a = shared.machine("a")
    store(a, "document", {"number": 1})
    keep_check(a, "parity", {"made_from": "1"})
    kept = shared.objects().keys()
    beside = {"derma/sample/served/current", "derma/served/current", "derma/filesystem", "files/x", "served/files/x"}
    gone = {"derma/sample/files/0/x", "derma/sample/unfinished/training/0.npz"}
    for key in beside | gone:
        shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=b"x")
    later = time.time() + 25 * 3600
    monkeypatch.setattr(clean.time, "time", lambda: later)
    assert clean.main(["--remove"]) == 0
    assert shared.objects().keys() == kept | beside


MESSAGES = {
    "no bucket": ({}, "there is no such bucket"),
    "no keys": ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "there are no credentials"),
    "unreachable": ({"AWS_ENDPOINT_URL": "http://user:password@127.0.0.1:9"}, "check AWS_ENDPOINT_URL"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_wrong_with_the_storage_is_said(
    name: str, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_client: None
) -> None:
    environment, told = MESSAGES[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable)
    monkeypatch.setenv("DERMA_STORAGE_ATTEMPTS", "2")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    bucket = "no-such-bucket" if name == "no bucket" else shared.bucket
    copy = store_path(tmp_path / "a", f"s3://{bucket}/derma", "sample")
    for failing in (lambda: load(copy, "document"), lambda: store(copy, "document", {})):
        said = said_by(failing)
        assert told in said
        assert f"s3://{bucket}/derma/sample" in said
        assert "password" not in said


def test_refused_keys_are_told(shared: Shared) -> None:
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"):
        shared.proxy.make(Fault("status", status=403, code=code))
        with pytest.raises(StorageError, match=r"the server refuses .*check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"):
            RemoteStore(shared.address()).read_document("x.json")


@pytest.mark.parametrize(
    "address",
    ["gs://bucket/x", "s3://", "s3:///x", "s3://key:password@bucket/x", "s3://b/x?secret=password", "http://x"],
)
def test_an_address_that_cannot_be_used_is_told_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMA_STORAGE", address)
    settings.cache_clear()
    with pytest.raises(UserError, match=r"DERMA_STORAGE=.*neither a folder nor s3://bucket/prefix") as raised:
        settings()
    settings.cache_clear()
    assert "password" not in str(raised.value)


def test_a_local_folder_can_be_the_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DERMA_DATA_DIR", str(tmp_path / "data"))
    for storage, expected in (("", tmp_path / "data" / "store"), (str(tmp_path / "else"), tmp_path / "else")):
        monkeypatch.setenv("DERMA_STORAGE", storage)
        settings.cache_clear()
        assert settings().store == expected / "sample"
        assert address_of_copy(settings().store) is None
    settings.cache_clear()
