"""An attempt to serve a bundle, as plain functions and as the asset."""

import os
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from derma_assets.browser.parity_record import record_parity
from derma_assets.promotion import promote, promotion_assets, rollback, served
from derma_assets.promotion.gate import Judged, compare
from derma_assets.promotion.promote import Attempt, attempt
from derma_assets.promotion.promotion_checks import new_bundle_is_served
from derma_assets.promotion.served import current, roll_back
from derma_assets.promotion.served import promote as promote_it
from derma_assets.settings import Settings
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import promoted_path
from derma_assets_tests.calibration.made_up import predictions
from derma_assets_tests.promotion import checked_study
from derma_assets_tests.promotion.test_gate import judged

GOOD, WORSE = (judged(predictions(lesions_per_class=20, skill=skill)) for skill in (3.0, 1.2))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def bundle(store: Path, text: str, parity: Any = "passed") -> Path:
    path = store / "tfjs_bundle"
    path.mkdir(parents=True, exist_ok=True)
    (path / "index.html").write_text(text)
    if parity is not None:
        record_parity(path, parity, "as the test says")
    return path


def tried(store: Path, text: str, model: Judged, rule: Any = "gate", parity: Any = "passed") -> Attempt:
    where = store / "served"
    made = bundle(store, text, parity)
    return attempt(made, model, where, rule=rule, document={"date": "today"}, resamples=100, seed=1)


def test_the_first_is_served_and_a_worse_one_is_not(store: Path) -> None:
    first = tried(store, "first", GOOD)
    assert first.promoted
    assert first.comparison is None
    second = tried(store, "second", WORSE)
    assert not second.promoted
    assert any("macro_f1" in reason for reason in second.against)
    assert second.served is not None
    assert (second.served.bundle / "index.html").read_text() == "first"
    assert tried(store, "second", WORSE, rule="always").promoted


def test_a_better_one_takes_its_place(store: Path) -> None:
    tried(store, "first", WORSE)
    better = tried(store, "second", GOOD)
    assert better.promoted
    assert better.comparison is not None
    assert better.comparison["passed"].all()


@pytest.mark.parametrize("parity", ["failed", "not run", None])
def test_what_has_not_passed_in_a_browser_is_never_served(store: Path, parity: Any) -> None:
    came = tried(store, "first", GOOD, rule="always", parity=parity)
    assert not came.promoted
    assert came.served is None
    assert "browser_parity" in came.against[0]


def test_the_same_bundle_is_not_promoted_twice(store: Path) -> None:
    tried(store, "first", GOOD)
    again = tried(store, "first", GOOD)
    assert (again.promoted, again.against) == (False, [])
    assert again.served is not None
    assert again.served.number == 1


@pytest.mark.parametrize("part", ["bundle/index.html", "predictions.parquet", "promotion.json", "no promotion.json"])
@pytest.mark.parametrize("rule", ["gate", "never"])
def test_what_is_served_is_mended_if_the_same_is_offered(
    part: str, rule: Any, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tried(store, "first", GOOD)
    damage(store / "served" / "0001", part)
    mended = tried(store, "first", GOOD, rule=rule)
    assert (mended.promoted, mended.against) == (True, [])
    assert part.split("/")[0].removeprefix("no ") in caplog.text
    now = current(store / "served")
    assert now is not None
    assert now.damaged() == []
    assert (now.bundle / "index.html").read_text() == "first"
    again = tried(store, "first", GOOD)
    assert (again.promoted, again.against) == (False, [])


def damage(promoted: Path, part: str) -> None:
    path = promoted / part.removeprefix("no ")
    if part.startswith("no "):
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])


@pytest.mark.parametrize("part", ["predictions.parquet", "promotion.json", "no promotion.json"])
def test_nothing_is_promoted_past_what_cannot_be_compared_with(part: str, store: Path) -> None:
    tried(store, "first", GOOD)
    damage(store / "served" / "0001", part)
    came = tried(store, "second", WORSE)
    assert not came.promoted
    (reason,) = came.against
    assert part.removeprefix("no ") in reason
    assert "DERMA_PROMOTE=always" in reason
    assert came.uncompared in reason
    assert os.readlink(store / "served" / "current") == "0001"
    asked_for = tried(store, "second", WORSE, rule="always")
    assert (asked_for.promoted, asked_for.comparison) == (True, None)


def test_a_damaged_bundle_is_compared_with_all_the_same(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    tried(store, "first", GOOD)
    damage(store / "served" / "0001", "bundle/index.html")
    came = tried(store, "second", WORSE)
    assert any("macro_f1" in reason for reason in came.against)
    assert "0001 is not what was promoted: bundle" in caplog.text


@pytest.mark.parametrize("rule", ["gate", "always", "never"])
def test_whatever_the_rule_both_are_compared(store: Path, rule: Any) -> None:
    tried(store, "first", GOOD)
    came = tried(store, "second", WORSE, rule=rule)
    assert came.comparison is not None
    assert not came.comparison["passed"].all()
    assert came.promoted is (rule == "always")
    assert any("macro_f1" in reason for reason in came.against) is (rule == "gate")


def test_models_of_other_data_are_compared_by_nobody(store: Path) -> None:
    tried(store, "first", GOOD)
    other = judged(GOOD.predictions.assign(image_id="x" + GOOD.predictions["image_id"]))
    came = tried(store, "second", other)
    (reason,) = came.against
    assert "no test picture in common" in reason
    assert "DERMA_PROMOTE=always" in reason
    assert tried(store, "second", other, rule="always").promoted


def test_what_is_reproduced_may_come_back_if_nobody_went_back_from_it(store: Path) -> None:
    """A batch arrived, turned out to be wrong, and was taken away again."""
    tried(store, "without the batch", GOOD)
    tried(store, "with the batch", GOOD)
    came = tried(store, "without the batch", GOOD)
    assert (came.promoted, came.against) == (True, [])


def test_nobody_goes_back_while_a_bundle_is_judged(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(store, "first", GOOD)
    tried(store, "second", GOOD)
    going_back = threading.Thread(target=roll_back, args=(store / "served",))

    def meanwhile(*args: Any) -> pd.DataFrame:
        going_back.start()
        going_back.join(timeout=1)
        assert going_back.is_alive(), "it waits for the promotion"
        return compare(*args)

    monkeypatch.setattr(promote, "compare", meanwhile)
    came = tried(store, "third", GOOD)
    going_back.join(timeout=60)
    assert came.promoted
    now = current(store / "served")
    assert now is not None
    assert now.number == 2, "and then goes back from what was promoted"


def test_what_was_rolled_back_does_not_come_back_by_itself(store: Path) -> None:
    tried(store, "first", GOOD)
    tried(store, "second", GOOD)
    roll_back(store / "served")
    came = tried(store, "second", GOOD)
    assert not came.promoted
    assert came.against == ["it was served before and went back: make rollback undid it on purpose"]
    now = current(store / "served")
    assert now is not None
    assert now.number == 1


def test_a_promotion_that_was_killed_is_made_by_the_next_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(store, "first", GOOD)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(served, "_switch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        tried(store, "second", GOOD)
    came = tried(store, "second", GOOD)
    assert (came.promoted, came.against) == (True, [])
    assert came.served is not None
    assert came.served.number == 2


def test_never_means_never(store: Path) -> None:
    assert tried(store, "first", GOOD, rule="never").against == ["DERMA_PROMOTE is `never`"]


def made_of(
    text: str, model: Judged, tmp_path: Path, failing: tuple[str, ...] = ()
) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]]:
    """Return what is upstream of `released_bundle`, and its checks."""
    values = {
        "tfjs_bundle": ("folder", bundle(tmp_path / "made", text)),
        "predictions": ("table", model.predictions),
        "calibrated_temperature": ("document", {"temperature": model.temperature}),
        "operating_points": ("document", dict(model.points)),
    }
    return checked_study.upstream(values, version=text, failing=failing)


@pytest.mark.parametrize("rule", ["gate", "always"])
def test_what_a_check_has_against_it_stops_it(store: Path, rule: Any) -> None:
    made = bundle(store, "first")
    came = attempt(
        *(made, GOOD, store / "served"),
        **{"rule": rule, "document": {"date": "today"}, "resamples": 100, "seed": 1},
        unpassed=["the check x of y has not passed"],
    )
    assert (came.promoted, came.served, came.against) == (False, None, ["the check x of y has not passed"])


@pytest.mark.parametrize(("asset", "check"), promotion_assets.BLOCKING)
def test_a_check_that_failed_in_an_earlier_run_stops_a_bundle(
    asset: str, check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path, bootstrap_resamples=100)
    monkeypatch.setattr(promotion_assets, "settings", lambda: chosen)
    resources = io_managers(chosen.store)
    with dg.DagsterInstance.ephemeral() as instance:
        assets, checks = made_of("first", GOOD, tmp_path, failing=(check,))
        checked_study.ran((assets, checks), instance, resources)
        record_parity(chosen.store / "tfjs_bundle", "passed", "")
        everything = [*assets, promotion_assets.released_bundle], checks
        # The second run reads what the first has stored, or makes it again, and none of it is checked anew.
        for names in (["released_bundle"], [*(one.key.path[-1] for one in assets), "released_bundle"]):
            run = checked_study.ran(everything, instance, resources, checked_study.with_nothing_but(*names))
            said = run.output_for_node("released_bundle")
            assert (said["promoted"], said["served"]) == (False, None)
            (reason,) = said["against"]
            assert check in reason
            assert asset in reason
            (event,) = run.asset_materializations_for_node("released_bundle")
            assert check in str(event.metadata["against"].value)
            assert event.metadata["checks_not_passed"].value == 1


@pytest.mark.parametrize("rule", ["always", "never"])
def test_the_asset_shows_the_comparison_whatever_the_rule(
    rule: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path, bootstrap_resamples=100, promote=rule)
    monkeypatch.setattr(promotion_assets, "settings", lambda: chosen)
    resources, said = io_managers(chosen.store), []
    with dg.DagsterInstance.ephemeral() as instance:
        for text, model in (("first", GOOD), ("second", WORSE), ("second", WORSE)):
            assets, checks = made_of(text, model, tmp_path)
            checked_study.ran((assets, checks), instance, resources)
            record_parity(chosen.store / "tfjs_bundle", "passed", "")
            if text == "first":
                promote_it(chosen.served, chosen.store / "tfjs_bundle", model, {"date": "today"})
            parts = [*assets, promotion_assets.released_bundle], checks
            run = checked_study.ran(parts, instance, resources, checked_study.with_nothing_but("released_bundle"))
            (event,) = run.asset_materializations_for_node("released_bundle")
            said.append(str(event.metadata["comparison"].value))
    compared = ["macro_f1" in one for one in said]
    assert compared == [False, True, rule == "never"]
    assert said[0] == "it is the one served"


def test_the_asset_says_what_stopped_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path, bootstrap_resamples=100)
    for module in (promotion_assets, rollback):
        monkeypatch.setattr(module, "settings", lambda: chosen)

    instance = dg.DagsterInstance.ephemeral()

    def run(text: str, model: Judged) -> dg.ExecuteInProcessResult:
        assets, checks = made_of(text, model, tmp_path)
        resources = io_managers(chosen.store)
        checked_study.ran((assets, checks), instance, resources)
        record_parity(chosen.store / "tfjs_bundle", "passed", "")
        parts = [*assets, promotion_assets.released_bundle], [*checks, new_bundle_is_served]
        return checked_study.ran(parts, instance, resources, dg.AssetSelection.assets("released_bundle"))

    first, second, third = run("first", GOOD), run("second", WORSE), run("third", GOOD)
    said = [one.output_for_node("released_bundle") for one in (first, second, third)]
    assert [one["promoted"] for one in said] == [True, False, True]
    assert [one["served"] for one in said] == [1, 1, 2]
    (check,) = second.get_asset_check_evaluations()
    assert not check.passed
    assert "macro_f1" in (check.description or "")
    assert check.severity == dg.AssetCheckSeverity.WARN
    (event,) = first.asset_materializations_for_node("released_bundle")
    assert event.metadata["comparison"].value == "nothing was served before"
    (event,) = second.asset_materializations_for_node("released_bundle")
    assert "macro_f1" in str(event.metadata["comparison"].value)
    assert rollback.main() == 0
    assert "number 1" in capsys.readouterr().out
    assert (promoted_path(chosen.root, "sample") / "current" / "bundle" / "index.html").read_text() == "first"
    assert rollback.main() == 1
    assert "nothing to go back to" in capsys.readouterr().err
