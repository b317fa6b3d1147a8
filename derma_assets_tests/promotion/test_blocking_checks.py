"""Every blocking check of the graph keeps a bundle from being served, in the run that finds something."""

import dagster as dg
import pytest

from derma_assets.definitions import defs
from derma_assets.promotion.promotion_assets import BLOCKING

GRAPH = defs.resolve_asset_graph()
RELEASED = dg.AssetKey("released_bundle")
ALL = sorted((key.asset_key.path[-1], key.name) for key in GRAPH.asset_check_keys if GRAPH.get(key).blocking)


def test_the_released_bundle_asks_after_every_blocking_check() -> None:
    assert sorted([*BLOCKING, ("tfjs_bundle", "browser_parity")]) == ALL


@pytest.mark.parametrize(("asset", "check"), ALL)
def test_a_blocking_check_that_fails_stops_the_release_in_its_run(asset: str, check: str) -> None:
    """The graph's own shape, of assets that do nothing and checks that pass, but for one."""

    def nothing(key: dg.AssetKey) -> dg.AssetsDefinition:
        @dg.asset(name=key.path[-1], deps=sorted(GRAPH.get(key).parent_keys))
        def compute() -> None: ...

        return compute

    def verdict(key: dg.AssetCheckKey) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=key.asset_key, name=key.name, blocking=GRAPH.get(key).blocking)
        def found() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=(key.asset_key.path[-1], key.name) != (asset, check))

        return found

    parts = [*map(nothing, GRAPH.get_all_asset_keys()), *map(verdict, GRAPH.asset_check_keys)]
    run = dg.materialize(parts, raise_on_error=False)
    made = {event.asset_key for event in run.get_asset_materialization_events()}
    assert dg.AssetKey(asset) in made
    assert RELEASED not in made
