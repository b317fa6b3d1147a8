"""What the check `browser_parity` leaves: of which bundle it is, and that nobody reuses a check without it."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from derma_assets.browser import checks
from derma_assets.browser.parity_record import parity_of, record_parity
from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.published import keep_check
from derma_assets_tests.promotion.checked_study import stand_in


def test_an_outcome_is_of_the_bundle_it_was_found_for(tmp_path: Path) -> None:
    bundle = made(tmp_path)
    assert parity_of(bundle) == ("not run", "the check browser_parity has left no record")

    record_parity(bundle, "passed", "agrees")
    assert parity_of(bundle) == ("passed", "agrees")

    (bundle / "index.html").write_text("another page")
    assert parity_of(bundle) == ("not run", "the last check browser_parity was of another bundle")

    record_parity(bundle, "failed", "uint8 differs")
    assert parity_of(bundle) == ("failed", "uint8 differs")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"outcome": "passed"}', None])
def test_a_damaged_record_says_nothing_of_a_bundle(content: bytes | None, tmp_path: Path) -> None:
    bundle = made(tmp_path)
    record_parity(bundle, "passed", "agrees")
    record = tmp_path / "browser_parity.json"
    record.write_bytes(record.read_bytes().replace(b'"passed"', b'"qassed"') if content is None else content)
    outcome, said = parity_of(bundle)
    assert outcome == "not run"
    assert f"{record}, what the check browser_parity has left, is damaged" in said


def made(folder: Path, page: str = "page") -> Path:
    bundle = folder / "tfjs_bundle"
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "index.html").write_text(page)
    return bundle


class _Nothing:
    """Stands for a model that nobody loads."""

    def save(self, path: Path) -> None:
        path.write_bytes(b"weights")


def checked(store: Path, parity: str | None) -> dg.AssetCheckEvaluation:
    """Run the check on a machine without a browser, where it has passed before on the same content.

    Args:
        store: Where everything is stored.
        parity: What its record says since; None: there is none any more.
    """
    folder = made(store.with_name("built"))
    values: dict[str, tuple[str, Any]] = {
        "tfjs_bundle": ("folder", folder),
        "tfjs_model": ("folder", folder),
        "trained_model": ("keras_model", _Nothing()),
        "input_guard": ("folder", folder),
        "image_arrays": ("folder", folder),
        "training_set": ("table", pd.DataFrame({"split": ["test"]})),
    }
    graph = [stand_in(name, key, value, "1") for name, (key, value) in values.items()]
    resources = io_managers(store)
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(graph, instance=instance, resources=resources)
        keep_check(store, "browser_parity", {"made_from": MADE_FROM, "description": "agrees", "metadata": {}})
        if parity is not None:
            record_parity(store / "tfjs_bundle", parity, "as said")  # type: ignore[arg-type]
        only = dg.AssetSelection.checks(checks.browser_parity)
        run = dg.materialize([*graph, checks.browser_parity], instance=instance, resources=resources, selection=only)
    (evaluation,) = run.get_asset_check_evaluations()
    return evaluation


MADE_FROM = fingerprint_json(["1", ["1"] * 5])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checks, "find_browser", lambda preferred: None)
    return tmp_path / "store"


def test_a_check_that_has_passed_is_reused_where_its_record_says_so(store: Path) -> None:
    evaluation = checked(store, "passed")
    assert evaluation.passed
    assert evaluation.metadata["reused"].value is True
    assert parity_of(store / "tfjs_bundle")[0] == "passed"


@pytest.mark.parametrize("parity", ["not run", "failed", None])
def test_a_check_that_has_passed_is_run_again_where_its_record_says_otherwise(parity: str | None, store: Path) -> None:
    """A run without a browser came between, or another bundle, or the record is gone: it would be refused for ever."""
    evaluation = checked(store, parity)
    assert not evaluation.passed
    assert "reused" not in evaluation.metadata
    assert parity_of(store / "tfjs_bundle")[0] == "not run", "it was run again, and there was no browser"
