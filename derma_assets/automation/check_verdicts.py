"""What the checks have said of what is stored now, in this run or in any before it.

Within a run Dagster itself stops whatever is downstream of an asset that fails a blocking check. A later run that reads
the stored asset knows nothing of that, and a run may leave checks out: so whoever releases something asks here.
"""

from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from derma_assets.storage.published import known_record

_VERSION = "dagster/data_version"
# Verdicts that are looked back at for the one on what is stored.
_AS_FAR_BACK = 100


def speaking_against(instance: dg.DagsterInstance, store: Path, checks: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence for each check that has not passed for the stored content of its asset; none if all have.

    A verdict counts for the data version it was given on, whenever that was. One that only warns is not held against
    the asset, as Dagster does not hold it either.

    Args:
        instance: Where the verdicts are.
        store: Folder of the stored assets.
        checks: Names of asset and check.
    """
    said = (_said_of(instance, store, asset, check) for asset, check in checks)
    return [sentence for sentence in said if sentence]


def _said_of(instance: dg.DagsterInstance, store: Path, asset: str, check: str) -> str:
    record = known_record(store, asset)
    if record is None:
        return f"nothing is known of the stored {asset}, which {check} has to pass: materialize it again"
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), check), limit=_AS_FAR_BACK
    )
    for one in history:
        event = one.event.dagster_event if one.event else None
        if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:  # planned alone
            continue
        verdict = event.asset_check_evaluation_data
        if _version_of(instance, asset, verdict) != record.data_version:
            continue
        if verdict.passed or verdict.severity is not dg.AssetCheckSeverity.ERROR:
            return ""
        about = f": {verdict.description}" if verdict.description else ""
        return f"the check {check} of {asset} has not passed{about}"
    return (
        f"the check {check} has not been run on the {asset} that is stored: "
        f"dagster asset materialize -m derma_assets.definitions --select '{asset}'"
    )


def _version_of(instance: dg.DagsterInstance, asset: str, verdict: dg.AssetCheckEvaluation) -> str | None:
    """Return the data version that a verdict was given on, None if it is not known."""
    target = verdict.target_materialization_data
    if target is None:
        return None
    only = dg.AssetRecordsFilter(dg.AssetKey(asset), storage_ids=[target.storage_id])
    for record in instance.fetch_materializations(only, limit=1).records:
        made = record.asset_materialization
        return (made.tags or {}).get(_VERSION) if made else None
    return None
