"""How old what is stored may be before the UI says so."""

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

# The weekly run, and most of a day for it to end in.
WARN_AFTER, FAIL_AFTER = timedelta(days=7, hours=12), timedelta(days=8)


def made_every_week(assets: Iterable[object]) -> list[dg.AssetsDefinition]:
    """Return the assets with the policy that some run looks at them every week, whoever launched it.

    An asset that is reused counts as looked at: old is only what no run has been at.
    """
    policy = dg.FreshnessPolicy.time_window(fail_window=FAIL_AFTER, warn_window=WARN_AFTER)
    return [
        asset.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, policy))
        for asset in assets
        if isinstance(asset, dg.AssetsDefinition)
    ]
