"""What was said of what is stored: by any run, as long as it was of the same content."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from derma_assets.automation.check_verdicts import speaking_against
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.promotion.checked_study import DESCRIPTION, blocking_check, ran, stand_in, with_nothing_but

ASSET, CHECK = "raw_images", "every_picture_readable"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(
    instance: dg.DagsterInstance,
    store: Path,
    version: str,
    passes: bool = True,
    checked: bool = True,
    severity: Any = dg.AssetCheckSeverity.ERROR,
) -> list[str]:
    """Run the asset at a version, with its check or without, and return what speaks against it then."""
    parts = [stand_in(ASSET, "document", {}, version)], [blocking_check(ASSET, CHECK, passes, severity)]
    ran(parts, instance, io_managers(store), None if checked else with_nothing_but(ASSET))
    return speaking_against(instance, store, [(ASSET, CHECK)])


def test_what_has_passed_has_passed(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert run(instance, tmp_path, "1") == []
    # Reused, and not checked again: the content is the same.
    assert run(instance, tmp_path, "1", checked=False) == []


def test_what_failed_in_an_earlier_run_is_held_against_what_is_reused(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (said,) = run(instance, tmp_path, "1", passes=False)
    assert said == f"the check {CHECK} of {ASSET} has not passed: {DESCRIPTION}"
    assert run(instance, tmp_path, "1", checked=False) == [said]
    assert run(instance, tmp_path, "1") == []  # the reason was outside the data, and has gone


def test_a_verdict_on_other_content_is_none(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert run(instance, tmp_path, "1") == []
    (said,) = run(instance, tmp_path, "2", checked=False)
    assert f"{CHECK} has not been run on the {ASSET} that is stored" in said
    assert f"--select '{ASSET}'" in said
    # Back to what was checked: that verdict is of the same content, and the newer one is not.
    run(instance, tmp_path, "3", passes=False)
    assert run(instance, tmp_path, "1", checked=False) == []


def test_a_warning_is_not_held_against_it(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert run(instance, tmp_path, "1", passes=False, severity=dg.AssetCheckSeverity.WARN) == []


def test_what_is_not_stored_or_was_never_checked_is_said(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    (said,) = speaking_against(instance, tmp_path, [(ASSET, CHECK)])
    assert "nothing is known of the stored raw_images" in said
    run(instance, tmp_path, "1")
    with dg.DagsterInstance.ephemeral() as another:
        (said,) = speaking_against(another, tmp_path, [(ASSET, CHECK)])
        assert "has not been run" in said
