"""`python -m derma_assets_tests.cluster.one_machine`: every fold after the other, in one process and a local store."""

import dagster as dg

from derma_assets import definitions, studies
from derma_assets_tests.cluster.assets import OF_FOLDS, SUMMARY, UPSTREAM


def main() -> None:
    """Compute what the folds need, the folds, and their summary."""
    with dg.DagsterInstance.ephemeral() as instance:
        graph = definitions.defs.get_implicit_global_asset_job_def()
        graph.execute_in_process(instance=instance, asset_selection=_keys(*UPSTREAM))
        job = studies.defs.get_implicit_global_asset_job_def()
        for fold in studies.fold_assets.FOLDS.get_partition_keys():
            job.execute_in_process(instance=instance, asset_selection=_keys(*OF_FOLDS), partition_key=fold)
        job.execute_in_process(instance=instance, asset_selection=_keys(SUMMARY))


def _keys(*names: str) -> list[dg.AssetKey]:
    return [dg.AssetKey(name) for name in names]


if __name__ == "__main__":
    main()
