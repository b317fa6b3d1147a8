"""What is served is the same on every machine that shares a bucket, whichever of them promotes or goes back."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from derma_assets.browser import serve as serving_module
from derma_assets.browser.bundle import MANIFEST
from derma_assets.browser.parity_record import record_parity
from derma_assets.browser.serve import newest_bundle, serving
from derma_assets.errors import StorageError, UserError
from derma_assets.promotion import promote as promote_module
from derma_assets.promotion import rollback
from derma_assets.promotion import shared as shared_module
from derma_assets.promotion.following import following
from derma_assets.promotion.gate import Judged, compare
from derma_assets.promotion.promote import Attempt, attempt
from derma_assets.promotion.served import current, promoted, roll_back
from derma_assets.promotion.shared import INDEX, Overtaken, pull
from derma_assets.settings import Settings, settings
from derma_assets.storage import clean
from derma_assets.storage.paths import promoted_path
from derma_assets_tests.promotion.test_promote import GOOD, WORSE
from derma_assets_tests.s3_server import Fault
from derma_assets_tests.shared_bucket import Shared


def served(shared: Shared, machine: str) -> Path:
    return promoted_path(shared.folder / machine, "sample", shared.address())


def tried(
    shared: Shared, machine: str, text: str, model: Judged = GOOD, rule: Any = "gate", anew: bool = False
) -> Attempt:
    """Let a machine offer a bundle that it has made."""
    made = shared.folder / machine / "made" / "tfjs_bundle"
    made.mkdir(parents=True, exist_ok=True)
    for name in ("index.html", MANIFEST):
        (made / name).write_text(text)
    (made / "assets").mkdir(exist_ok=True)
    (made / "assets" / "back.wasm").write_bytes(b"the same in each")
    record_parity(made, "passed", "")
    document = {"date": "2026-01-31", "dataset": "sample"}
    folder = served(shared, machine)
    return attempt(made, model, folder, rule=rule, document=document, resamples=100, seed=1, anew=anew)


def page(folder: Path) -> str:
    return (folder / "current" / "bundle" / "index.html").read_text()


def pulled(shared: Shared, machine: str) -> str:
    pull(served(shared, machine))
    return page(served(shared, machine))


def test_a_machine_compares_with_what_another_has_promoted(shared: Shared) -> None:
    assert tried(shared, "a", "first").promoted
    refused = tried(shared, "b", "second", WORSE)
    assert not refused.promoted
    assert any("macro_f1" in reason for reason in refused.against)
    assert page(served(shared, "b")) == "first"
    assert tried(shared, "b", "third").promoted
    assert pulled(shared, "a") == "third"
    assert [one.number for one in promoted(served(shared, "a"))] == [2, 1]
    again = tried(shared, "a", "third")
    assert (again.promoted, again.against) == (False, [])


def test_what_one_machine_goes_back_from_no_other_promotes_again(shared: Shared) -> None:
    tried(shared, "a", "first")
    tried(shared, "a", "second")
    assert roll_back(served(shared, "b")).number == 1
    came = tried(shared, "a", "second")
    assert came.against == ["it was served before and went back: make rollback undid it on purpose"]
    assert page(served(shared, "a")) == pulled(shared, "c") == "first"


def test_a_way_back_while_another_machine_judges_is_not_undone(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new bundle is better than the second, but no better than the first, which is served again meanwhile."""
    tried(shared, "a", "first")
    tried(shared, "a", "second", WORSE, rule="always")
    compared: list[str] = []

    def meanwhile(*args: Any) -> Any:
        if not compared:
            roll_back(served(shared, "b"))
        compared.append(page(served(shared, "a")))
        return compare(*args)

    monkeypatch.setattr(promote_module, "compare", meanwhile)
    came = tried(shared, "a", "third", WORSE)
    assert compared == ["second", "first"]
    assert any("macro_f1" in reason for reason in came.against)
    assert pulled(shared, "c") == "first"


@pytest.mark.parametrize("at", ["the look", "the put"])
def test_who_is_overtaken_at_the_last_moment_notices(at: str, shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("first", "second", "third"):
        tried(shared, "a", text)
    remote = shared_module.remote_of(served(shared, "b"))
    assert remote is not None
    name = {"the look": "version", "the put": "replace_document"}[at]
    real: Callable[..., Any] = getattr(remote, name)

    def after_the_other(*args: Any) -> Any:
        roll_back(served(shared, "a"))
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(remote, name, after_the_other)
        with pytest.raises(Overtaken, match="another machine has changed what is served"):
            roll_back(served(shared, "b"))
    assert page(served(shared, "b")) == "third", "not changed by a machine that was overtaken"
    assert pulled(shared, "b") == pulled(shared, "c") == "second"
    assert roll_back(served(shared, "b")).number == 1


def test_a_server_that_knows_no_conditions_serves_as_well(shared: Shared) -> None:
    shared.proxy.make(Fault("status", method="PUT", key=INDEX, times=1, status=501, code="NotImplemented"))
    assert tried(shared, "a", "first").promoted
    assert pulled(shared, "b") == "first"


@pytest.mark.parametrize("key", ["/promoted/", INDEX])
def test_a_promotion_that_cannot_be_put_changes_nothing(key: str, shared: Shared) -> None:
    tried(shared, "a", "first")
    fault = shared.proxy.make(Fault("status", method="PUT", key=key))
    with pytest.raises(StorageError, match="does not answer as it should"):
        tried(shared, "a", "second")
    assert fault.happened
    shared.proxy.faults = []
    for machine in ("a", "b"):
        assert pulled(shared, machine) == "first"
        assert [one.number for one in promoted(served(shared, machine))] == [1]
    came = tried(shared, "a", "second")
    assert came.promoted
    assert came.served is not None
    assert came.served.number == 2
    assert pulled(shared, "b") == "second"


def test_a_way_back_that_cannot_be_put_changes_nothing(shared: Shared) -> None:
    tried(shared, "a", "first")
    tried(shared, "a", "second")
    shared.proxy.make(Fault("status", method="PUT", key=INDEX))
    with pytest.raises(StorageError):
        roll_back(served(shared, "a"))
    shared.proxy.faults = []
    assert page(served(shared, "a")) == pulled(shared, "a") == pulled(shared, "b") == "second"
    assert not any(one.went_back for one in promoted(served(shared, "a")))


def test_only_what_differs_travels(shared: Shared) -> None:
    tried(shared, "a", "first")
    put = shared.proxy.make(Fault("slow", method="PUT", key="/promoted/"))
    tried(shared, "a", "second")
    assert put.happened == 3, "page, manifest and document; not the predictions nor what both bundles have"
    got = shared.proxy.make(Fault("slow", method="GET", key="/promoted/"))
    pull(served(shared, "a"))
    assert got.happened == 0
    damaged = served(shared, "a") / "0002" / "bundle"
    (damaged / "index.html").write_text("sekond")
    (damaged / "assets" / "back.wasm").unlink()
    (served(shared, "a") / "0001" / "promotion.json").write_text("{")
    assert pulled(shared, "a") == "second"
    assert got.happened == 3
    assert [one.damaged() for one in promoted(served(shared, "a"))] == [[], []]


def test_five_are_kept_and_what_nobody_needs_goes_a_day_later(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 7):
        tried(shared, "a", f"page {number}")
    pull(served(shared, "b"))
    assert [one.number for one in promoted(served(shared, "b"))] == [6, 5, 4, 3, 2]
    assert b"page 1" in shared.objects().values(), "it is younger than a day"
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(shared_module.time, "time", lambda: tomorrow)
    tried(shared, "b", "page 7")
    pages = {content for content in shared.objects().values() if content.startswith(b"page")}
    assert b"page 1" not in pages
    assert b"page 2" in pages, "a machine may be about to fetch what was named until now"
    assert pulled(shared, "a") == "page 7"
    assert not (served(shared, "a") / "0002").exists()


def test_cleaning_the_store_leaves_what_is_served(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(shared, "a", "first")
    monkeypatch.setenv("DERMA_STORAGE", shared.address())
    settings.cache_clear()
    (key,) = (key for key in shared.objects() if key.endswith(INDEX))
    assert key == "derma/served/sample/served.json"
    left = f"{shared.address().removeprefix(f's3://{shared.bucket}/')}/sample/files/asset/{'0' * 64}/asset.json"
    shared.server.client.put_object(Bucket=shared.bucket, Key=left, Body=b"{}")
    before = shared.objects()
    later = time.time() + 25 * 3600
    monkeypatch.setattr(clean.time, "time", lambda: later)
    assert clean.main(["--remove"]) == 0
    assert shared.objects() == {key: content for key, content in before.items() if key != left}


def test_what_is_gone_from_the_bucket_is_put_back_by_the_next_promotion(shared: Shared) -> None:
    tried(shared, "a", "first")
    for key in shared.objects():
        shared.server.client.delete_object(Bucket=shared.bucket, Key=key)
    assert pulled(shared, "a") == "first", "the last copy is not thrown away"
    refused = tried(shared, "a", "second", WORSE)
    assert any("macro_f1" in reason for reason in refused.against)
    tried(shared, "a", "third")
    pull(served(shared, "b"))
    assert [one.number for one in promoted(served(shared, "b"))] == [2, 1]


@pytest.mark.parametrize(
    "document",
    [
        {"current": "0002", "folders": {"0001": {}}},
        {"current": "0001", "folders": {"0001": {"../../out": "0" * 64}}},
        {"current": "../x", "folders": {"../x": {}}},
        {"current": "0001", "folders": {"0001": {"promotion.json": "../../x"}}},
        {"current": "0001"},
        {"current": "0001", "folders": []},
    ],
)
def test_an_index_that_is_none_is_told_and_nothing_written(document: dict[str, Any], shared: Shared) -> None:
    tried(shared, "a", "first")
    body = json.dumps(document).encode()
    shared.server.client.put_object(Bucket=shared.bucket, Key=f"derma/served/sample/{INDEX}", Body=body)
    with pytest.raises(StorageError, match=f"{INDEX} in object storage is not what was written"):
        pull(served(shared, "a"))
    assert page(served(shared, "a")) == "first"


def lose(shared: Shared, content: bytes, how: str) -> None:
    """Let the bucket lose the page with this content, or have another of the same size in its place."""
    (key,) = (key for key, one in shared.objects().items() if one == content and key.endswith("index.html"))
    if how == "gone":
        shared.server.client.delete_object(Bucket=shared.bucket, Key=key)
    else:
        shared.server.client.put_object(Bucket=shared.bucket, Key=key, Body=content[::-1])


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_lost_file_of_what_is_served_is_told_and_the_old_one_served(how: str, shared: Shared) -> None:
    tried(shared, "a", "first")
    pull(served(shared, "b"))
    tried(shared, "a", "second")
    lose(shared, b"second", how)
    with pytest.raises(StorageError, match=r"lost a file of what is served, number 0002: .*a whole copy"):
        pull(served(shared, "b"))
    assert page(served(shared, "b")) == "first"
    tried(shared, "a", "second", anew=how == "damaged")
    assert pulled(shared, "b") == "second", "the machine that has a whole copy has put it back"


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_lost_file_of_an_older_one_stops_nobody(how: str, shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("first", "second", "third"):
        tried(shared, "a", text)
    lose(shared, b"second", how)
    assert pulled(shared, "b") == "third"
    assert "nobody can go back to number 0002" in caplog.text
    assert [one.number for one in promoted(served(shared, "b"))] == [3, 1]
    assert roll_back(served(shared, "b")).number == 1
    assert pulled(shared, "a") == "first"


@pytest.fixture
def serving_host(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `make app` and `make rollback` of this process be those of a host that has nothing yet."""
    chosen = Settings(dataset="sample", storage=shared.address(), data_dir=shared.folder / "clinic")
    for module in (serving_module, rollback):
        monkeypatch.setattr(module, "settings", lambda: chosen)
    return chosen.served


def test_a_host_serves_what_was_promoted_and_not_what_was_refused(
    shared: Shared, serving_host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"nothing has been promoted yet in s3://.*/served/sample: .*released_bundle"):
        newest_bundle()
    tried(shared, "a", "first")
    assert not tried(shared, "a", "second", WORSE).promoted
    found = newest_bundle()
    assert found.promoted == serving_host
    with serving(found.folder) as address, following(serving_host, print, seconds=0.05):
        assert answer(address) == "first"
        assert not tried(shared, "b", "third", WORSE).promoted
        assert tried(shared, "b", "fourth").promoted
        wait_for(lambda: answer(address) == "fourth")
        assert rollback.main() == 0
        assert "number 1" in capsys.readouterr().out
        assert answer(address) == "first"
        shared.proxy.make(Fault("status", method="GET", key=INDEX))
        said = []
        wait_for(lambda: bool(said.append(capsys.readouterr().out) or "cannot be fetched" in "".join(said)))
        assert answer(address) == "first"
        shared.proxy.faults = []
        wait_for(lambda: bool(said.append(capsys.readouterr().out) or "fetched again" in "".join(said)))


# `make app`, looking oftener than every 30 seconds.
MAKE_APP = """
import functools, sys
from derma_assets.browser import serve
serve.following = functools.partial(serve.following, seconds=0.2)
sys.exit(serve.main(["--port", "0"]))
"""


def test_make_app_follows_while_it_serves(shared: Shared) -> None:
    tried(shared, "a", "first")
    chosen = {"DERMA_STORAGE": shared.address(), "DERMA_DATA_DIR": str(shared.folder / "clinic")}
    clinic = subprocess.Popen([sys.executable, "-c", MAKE_APP], env={**os.environ, **chosen}, stdout=subprocess.PIPE)
    try:
        assert clinic.stdout is not None
        said = iter(clinic.stdout.readline, b"")
        address = next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+/", line.decode())))
        assert answer(address) == "first"
        tried(shared, "b", "second")
        wait_for(lambda: answer(address) == "second")
    finally:
        clinic.kill()
        clinic.communicate(timeout=30)


def test_a_host_that_cannot_reach_the_bucket_serves_what_it_has(
    shared: Shared, serving_host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.proxy.make(Fault("status"))
    with pytest.raises(StorageError):
        newest_bundle()
    shared.proxy.faults = []
    tried(shared, "a", "first")
    newest_bundle()
    shared.proxy.make(Fault("status"))
    assert newest_bundle().folder == serving_host / "current" / "bundle"
    assert "Served is what was fetched before" in capsys.readouterr().err


def answer(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as response:
        return str(response.read().decode())


def wait_for(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it has not come")


def test_a_killed_promotion_is_settled_by_the_bucket(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the bucket has it, it never was; after, it is one."""
    tried(shared, "a", "first")
    for name, whole in (("push", "first"), ("_switch", "second")):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(
                f"derma_assets.promotion.served.{name}", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            tried(shared, "a", "second")
        assert page(served(shared, "a")) == "first"
        assert pulled(shared, "a") == pulled(shared, "b") == whole
    now = current(served(shared, "a"))
    assert now is not None
    assert sorted(path.name for path in now.folder.iterdir()) == ["bundle", "predictions.parquet", "promotion.json"]
    assert os.readlink(served(shared, "a") / "current") == "0002"
