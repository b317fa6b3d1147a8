"""Stand-ins of all that `released_bundle` asks after: assets with records, as ours are, and their blocking checks."""

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg

from derma_assets.promotion.promotion_assets import BLOCKING
from derma_assets.stage import stage_asset

DESCRIPTION = "3 pictures cannot be read"


def stand_in(name: str, io_manager_key: str, value: Any, version: str) -> dg.AssetsDefinition:
    """Return an asset of ours that gives `value`, with a data version of its own."""

    def compute() -> dg.MaterializeResult:
        return dg.MaterializeResult(value=value, data_version=dg.DataVersion(version))

    compute.__name__ = name
    return stage_asset("dataset", code_version=version, io_manager_key=io_manager_key)(compute)


def blocking_check(
    asset: str, name: str, passes: bool, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetChecksDefinition:
    """Return a blocking check with this verdict."""

    @dg.asset_check(asset=asset, name=name, blocking=True)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes, severity=severity, description=DESCRIPTION)

    return check


def upstream(
    values: Mapping[str, tuple[str, Any]], version: str = "1", failing: Collection[str] = ()
) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]]:
    """Return an asset for each of `values`, and for each other that `BLOCKING` names, and the checks.

    Args:
        values: Key of the IO manager and value, by name.
        version: Data version of all of them.
        failing: Names of the checks that do not pass.
    """
    others = {asset: ("document", {}) for asset, _ in BLOCKING if asset not in values}
    assets = [stand_in(name, key, value, version) for name, (key, value) in {**others, **values}.items()]
    return assets, [blocking_check(asset, name, passes=name not in failing) for asset, name in BLOCKING]


def ran(
    parts: tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]],
    instance: dg.DagsterInstance,
    resources: Mapping[str, Any],
    selection: dg.AssetSelection | None = None,
) -> dg.ExecuteInProcessResult:
    """Run these assets and checks, or a part of them; what fails is for the caller to see."""
    return dg.materialize(
        [*parts[0], *parts[1]], instance=instance, resources=resources, selection=selection, raise_on_error=False
    )


def with_nothing_but(*names: str) -> dg.AssetSelection:
    """Return a selection of assets without their checks."""
    return dg.AssetSelection.assets(*names).without_checks()
