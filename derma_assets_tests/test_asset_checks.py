"""Whoever runs the graph in a terminal reads what a check found wrong."""

import dagster as dg
import pytest

from derma_assets.asset_checks import asset_check


@pytest.mark.parametrize(
    ("passed", "severity", "level"),
    [
        (False, dg.AssetCheckSeverity.ERROR, "ERROR"),
        (False, dg.AssetCheckSeverity.WARN, "WARNING"),
        (True, dg.AssetCheckSeverity.ERROR, None),
    ],
)
def test_what_a_check_found_is_said_in_the_log(
    passed: bool, severity: dg.AssetCheckSeverity, level: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def lesions() -> int:
        return 3

    @asset_check(asset=lesions)
    def enough(lesions: int) -> dg.AssetCheckResult:
        """At least a hundred."""
        return dg.AssetCheckResult(passed=passed, severity=severity, description=f"{lesions} lesions of 100")

    assert [spec.description for spec in enough.check_specs] == ["At least a hundred."]
    run = dg.materialize([lesions, enough])
    assert run.get_asset_check_evaluations()[0].passed is passed
    said = [line for line in capfd.readouterr().err.splitlines() if "check enough: 3 lesions of 100" in line]
    assert [f" {level} " in line for line in said] == ([True] if level else [])
