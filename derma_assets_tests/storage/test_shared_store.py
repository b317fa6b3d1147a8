"""Two machines with one store in a bucket: neither computes what the other has, nor fetches what it does not read."""

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from derma_assets.automation.run_tags import DATA
from derma_assets.browser.bundle import MANIFEST
from derma_assets.browser.parity_record import parity_of, record_parity
from derma_assets.errors import InputError
from derma_assets.evaluation.model_card.__main__ import where
from derma_assets.evaluation.model_card.card import HTML, MARKDOWN
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.locks import holding
from derma_assets.storage.paths import building_folder, scratch_path, stored_path
from derma_assets.storage.published import fetched_path, what_was_stored
from derma_assets.training import worker
from derma_assets.training.checkpoint import TrainingState
from derma_assets_tests.s3_server import ACCESS_KEY, SECRET_KEY, Fault
from derma_assets_tests.shared_bucket import Shared
from derma_assets_tests.splits.test_dealt_lesions import BASE, FIRST, SECOND, THIRD, Study, assert_where_they_were
from derma_assets_tests.test_reuse import Graph


@dataclass
class Pictures:
    """A graph of a large folder, a figure on it and a report that names both."""

    store: Path
    picture: bytes = b"one"
    calls: list[str] = field(default_factory=list)
    version: str = "1"

    def run(self, *selection: str, force: bool = False) -> dg.ExecuteInProcessResult:
        self.calls.clear()
        graph = self

        @stage_asset("dataset", code_version=self.picture.decode(), io_manager_key="folder")
        def pictures() -> dg.MaterializeResult:
            graph.calls.append("pictures")
            with building_folder(graph.store, "pictures") as folder:
                folder.mkdir()
                (folder / "index").write_bytes(b"always the same")
                (folder / "pixels").write_bytes(graph.picture)
            return dg.MaterializeResult(value=folder)

        @stage_asset("dataset", code_version="1", io_manager_key="document")
        def figure(pictures: Path) -> dg.MaterializeResult:
            graph.calls.append("figure")
            return dg.MaterializeResult(value={"of": (pictures / "pixels").read_text()})

        @stage_asset("dataset", code_version=self.version, io_manager_key="document")
        def report(pictures: Path, figure: dict[str, Any]) -> dg.MaterializeResult:
            graph.calls.append("report")
            return dg.MaterializeResult(value={"read": (pictures / "pixels").read_text(), **figure})

        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [pictures, figure, report],
                resources=io_managers(self.store),
                instance=instance,
                selection=list(selection) or None,
                # As in the launchpad, where nobody but this resource is told.
                run_config={"resources": {"reuse": {"config": {"store": str(self.store), "force": force}}}},
            )

    def fetched(self) -> set[str]:
        """Return the files of assets in this machine's copy."""
        return {name for name in sha256_of_files(self.store) if not name.startswith(".")}


def stored(path: Path) -> Any:
    return json.loads(path.read_text())


def test_another_machine_computes_nothing_and_its_checks_pass_again(shared: Shared) -> None:
    a, b = Graph(shared.machine("a")), Graph(shared.machine("b"))
    a.run()
    assert set(a.calls) == {"source", "ordered", "both", "is_ordered"}
    run = b.run()
    assert b.calls == ["source"], "which is made anew each time"
    assert b.data_version("ordered") == a.data_version("ordered")
    (check,) = run.get_asset_check_evaluations()
    assert check.passed
    assert check.metadata["reused"].value is True
    b.numbers = [7, 9, 8]
    b.run()
    assert set(b.calls) == {"source", "ordered", "both", "is_ordered"}
    a.numbers = b.numbers
    a.run()
    assert a.calls == ["source"], "what b has made since is a's too"
    assert stored(fetched_path(a.store, "smallest", "document")) == {"smallest": 7}


def test_only_what_is_read_is_fetched(shared: Shared) -> None:
    a, b = Pictures(shared.machine("a")), Pictures(shared.machine("b"))
    a.run()
    b.run()
    assert b.calls == []
    assert not {name for name in b.fetched() if name.startswith("pictures")}
    b.version = "2"
    b.run()
    assert b.calls == ["report"]
    assert b.fetched() == a.fetched()
    assert stored(fetched_path(a.store, "report", "document")) == {"read": "one", "of": "one"}


def test_what_another_machine_has_replaced_is_read_whole(shared: Shared) -> None:
    a, b = Pictures(shared.machine("a")), Pictures(shared.machine("b"))
    a.run()
    b.version = "2"
    b.run()  # so that it has a copy
    for picture in (b"two", b"three"):
        a.picture = b.picture = picture
        a.run("pictures")
        read = shared.proxy.make(Fault("slow", method="GET", key="/files/"))
        b.run("figure", "report")
        shared.proxy.faults = []
        assert b.calls == ["figure", "report"]
        assert read.happened == 1, "the index has not changed"
        assert stored(stored_path(b.store, "report", "document")) == {"read": picture.decode(), "of": picture.decode()}


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_what_is_no_longer_in_the_bucket_is_made_again(damage: str, shared: Shared) -> None:
    a, b = Pictures(shared.machine("a")), Pictures(shared.machine("b"))
    a.run()
    (key,) = (key for key in shared.objects() if key.endswith("/pixels"))
    if damage == "missing":
        shared.server.client.delete_object(Bucket=shared.bucket, Key=key)
    else:
        shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=b"o")
    b.run()
    assert b.calls == ["pictures"]
    assert shared.objects()[key] == b"one"
    shared.server.client.delete_object(Bucket=shared.bucket, Key=key)
    a.run()
    assert a.calls == [], "a has a copy, which it puts back"
    assert shared.objects()[key] == b"one"


def test_other_bytes_in_the_bucket_are_mended_by_force(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    a, b, c = (Pictures(shared.machine(name)) for name in "abc")
    a.run()
    (key,) = (key for key in shared.objects() if key.endswith("/pixels"))
    shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=b"eno")  # as long as what was there
    b.version = "2"
    with pytest.raises(dg.Failure, match=f"{key} is damaged.*DERMA_FORCE=1"):
        b.run("report")
    assert what_was_stored(b.store, "pictures", "folder") is None
    assert f"{key} is damaged" in caplog.text
    b.run("pictures")
    assert shared.objects()[key] == b"eno", "nobody looks at the bytes of what need not be fetched"
    forced = b.run("pictures", force=True)
    assert b.calls == ["pictures"]
    assert shared.objects()[key] == b"one"
    assert forced.asset_materializations_for_node("pictures")[0].metadata["forced"].value is True
    assert (fetched_path(c.store, "pictures", "folder") / "pixels").read_bytes() == b"one"


def test_a_run_that_could_not_publish_is_made_good_without_computing(shared: Shared) -> None:
    a, b = Pictures(shared.machine("a")), Pictures(shared.machine("b"))
    a.run()
    a.picture = b"two"
    fault = shared.proxy.make(Fault("status", method="PUT", key="/.records/pictures.json"))
    with pytest.raises(dg.Failure, match="does not answer as it should"):
        a.run("pictures")
    assert a.calls == ["pictures"]
    assert fault.happened
    shared.proxy.faults = []
    a.run()
    assert a.calls == ["figure", "report"], "the pictures were put from a's copy"
    b.picture = b"two"
    b.run()
    assert b.calls == []


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_copy_in_use_is_replaced_when_it_is_free(mode: str, shared: Shared) -> None:
    """Another process of the machine reads the old version, or is about to store one of its own."""
    a, b = Pictures(shared.machine("a")), Pictures(shared.machine("b"))
    a.run()
    pixels = fetched_path(b.store, "pictures", "folder") / "pixels"
    a.picture = b"two"
    a.run("pictures")
    name = [("pictures", None)]
    fetching = threading.Thread(target=fetched_path, args=(b.store, "pictures", "folder"))
    with holding(b.store, **{f"{mode}s": name}, does="", say=print):  # type: ignore[arg-type]
        fetching.start()
        fetching.join(timeout=3)
        assert fetching.is_alive()
        assert pixels.read_bytes() == b"one"
    fetching.join(timeout=60)
    assert pixels.read_bytes() == b"two"


def test_who_holds_a_version_keeps_it(shared: Shared) -> None:
    a, b = Pictures(shared.machine("a")), Pictures(shared.machine("b"))
    a.run()
    pixels = fetched_path(b.store, "pictures", "folder") / "pixels"
    with holding(b.store, reads=[("pictures", None)], does="", say=print):
        a.picture = b"two"
        a.run("pictures")
        assert fetched_path(b.store, "pictures", "folder") == pixels.parent
        assert pixels.read_bytes() == b"one"


def test_lesions_stay_where_they_were_whichever_machine_deals_them(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, c = (Study(shared.folder / name, monkeypatch, shared.address()) for name in "abc")
    first = a.sides(BASE, FIRST)
    second = b.sides(BASE, SECOND)
    grown = a.sides(BASE, FIRST, SECOND)
    assert_where_they_were(first, grown)
    assert_where_they_were(second, grown)
    record = json.loads(shared.objects()["derma/sample/.records/grouped_splits.json"])
    (key,) = (key for key in shared.objects() if record["record"]["sha256"]["."] in key)
    shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=bytes(record["bytes_of"]["."]))
    assert_where_they_were(grown, c.sides(BASE, FIRST, SECOND, THIRD))
    assert f"{key} is damaged" in caplog.text


def test_plain_commands_find_what_another_machine_has_made(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = shared.machine("a"), shared.machine("b")
    values = {"tfjs_bundle": {MANIFEST: b"{}"}, "model_card": {HTML: b"<p>", MARKDOWN: b"#"}}
    for name, files in values.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        io_managers(a)["folder"].handle_output(dg.build_output_context(asset_key=dg.AssetKey(name)), tmp_path / name)
    record_parity(stored_path(a, "tfjs_bundle", "folder"), "passed", "on two cores")
    monkeypatch.setenv("DERMA_STORAGE", shared.address())
    monkeypatch.setenv("DERMA_DATA_DIR", str(shared.folder / "b"))
    settings.cache_clear()
    assert parity_of(fetched_path(b, "tfjs_bundle", "folder")) == ("passed", "on two cores")
    assert str(stored_path(b, "model_card", "folder") / HTML) in where(settings())


def test_a_worker_of_a_training_fetches_what_it_learns_from(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("STORAGE", shared.address()),
        ("DATA_DIR", str(shared.folder / "b")),
        ("PRECISION", "float32"),
    ):
        monkeypatch.setenv(f"DERMA_{name}", value)
    settings.cache_clear()
    with pytest.raises(InputError, match="image_arrays has not been stored yet"):
        worker._job()
    managers = io_managers(shared.machine("a"))
    pictures = shared.folder / "pictures"
    pictures.mkdir()
    (pictures / "pixels").write_bytes(b"pixels")
    chosen = pd.DataFrame({"image_id": ["one"], "dx": ["nv"], "split": ["train"]})
    for name, key, value in (("image_arrays", "folder", pictures), ("training_set", "table", chosen)):
        managers[key].handle_output(dg.build_output_context(asset_key=dg.AssetKey(name)), value)
    job = worker._job()
    assert job.arrays == stored_path(shared.machine("b"), "image_arrays", "folder")
    assert (job.arrays / "pixels").read_bytes() == b"pixels"
    pd.testing.assert_frame_equal(job.splits, chosen)


def test_another_machine_goes_on_with_a_training(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    a, b = (scratch_path(shared.machine(name), "training") / "identity.npz" for name in "ab")
    assert TrainingState.load(b).history == []
    state = TrainingState([{"epoch": 1.0}], [np.arange(3)], [np.zeros(2)], [np.ones(1)])
    state.save(a)
    found = TrainingState.load(b)
    assert found.history == state.history
    assert [array.tolist() for array in found.weights] == [[0, 1, 2]]
    shared.proxy.make(Fault("status", method="PUT"))
    TrainingState([{"epoch": 1.0}, {"epoch": 2.0}]).save(a)
    assert "another machine could not go on with identity.npz" in caplog.text, "the training itself goes on"
    assert len(TrainingState.load(a).history) == 2


def test_a_run_is_tagged_with_data_that_another_machine_has_read(shared: Shared) -> None:
    @stage_asset("dataset", code_version="1", io_manager_key="document")
    def raw_metadata() -> dg.MaterializeResult:
        return dg.MaterializeResult(value={}, data_version=dg.DataVersion("of-these-pictures"))

    @stage_asset("splits", code_version="1", io_manager_key="document")
    def beside() -> dg.MaterializeResult:
        return dg.MaterializeResult(value={})

    with dg.DagsterInstance.ephemeral() as instance:
        for machine, asset in (("a", "raw_metadata"), ("b", "beside")):
            resources = io_managers(shared.machine(machine))
            run = dg.materialize([raw_metadata, beside], selection=asset, instance=instance, resources=resources)
            stored_run = instance.get_run_by_id(run.run_id)
            assert stored_run is not None
            assert stored_run.tags[DATA] == "of-these-pictures"


def test_no_secret_is_written_anywhere(shared: Shared, capfd: pytest.CaptureFixture[str]) -> None:
    a = Pictures(shared.machine("a"))
    run = a.run()
    shared.proxy.make(Fault("status", status=403, code="InvalidAccessKeyId"))
    with pytest.raises(dg.Failure) as refused:
        a.run()
    shared.proxy.faults = []
    written = [*shared.objects().values(), *(file.read_bytes() for file in a.store.rglob("*") if file.is_file())]
    said = [str(event) for event in run.all_events] + [repr(refused.value.__cause__), refused.value.description or ""]
    everything = b"".join(written) + "".join([*said, *capfd.readouterr()]).encode()
    assert b"AWS_ACCESS_KEY_ID" in everything, "what was said is in it"
    for variable, secret in (("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)):
        assert os.environ[variable] == secret
        assert secret.encode() not in everything
