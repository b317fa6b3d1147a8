"""Taking part in the training of a chief that runs the graph: python -m derma_assets.training.worker

With `TF_CONFIG` naming this process, the settings of the run of the chief, and `image_arrays` and `training_set` of its
store: fetched from object storage, or below `DERMA_DATA_DIR`. It stores nothing; it ends when the training ends.
"""

import sys
from pathlib import Path

import pandas as pd

from derma_assets.errors import InputError, UserError
from derma_assets.settings import settings
from derma_assets.storage.paths import how_to_store, stored_path
from derma_assets.storage.published import fetched_path
from derma_assets.training.cluster import VARIABLE, cluster_from_environment
from derma_assets.training.group import take_part
from derma_assets.training.hardware import chosen_precision
from derma_assets.training.job import TrainingJob
from derma_assets.training.recipe import named_recipe
from derma_assets.training.train import BackboneChoice


def main() -> int:
    """Train with the others; return the exit status."""
    try:
        cluster = cluster_from_environment()
        if cluster is None:
            raise InputError(f"set {VARIABLE}: it says which process this is; see docs/distributed_training.md")
        if cluster.is_chief:
            raise InputError(
                f"{VARIABLE} makes this process the chief, {cluster.described(0)}: the chief runs the graph "
                "(make materialize), and this command is for the others"
            )
        take_part(cluster, _job(), settings().cluster_wait_s)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print("the training is finished: the chief has the model", file=sys.stderr)
    return 0


def _job() -> TrainingJob:
    """Return the training that the settings and the store describe."""
    chosen = settings()
    return TrainingJob(
        arrays=_stored("image_arrays", "folder"),
        splits=pd.read_parquet(_stored("training_set", "table")),
        recipe=named_recipe(chosen.recipe, chosen.epochs),
        backbone=BackboneChoice.of(chosen),
        seed=chosen.seed,
        precision=chosen_precision(chosen.precision),
    )


def _stored(asset: str, io_manager_key: str) -> Path:
    store = settings().store
    path = fetched_path(store, asset, io_manager_key)
    if not path.exists():
        missing = how_to_store(asset, stored_path(store, asset, io_manager_key))
        raise InputError(f"{missing}, in a store that the chief has too, or copy it from the chief's.")
    return path


if __name__ == "__main__":
    sys.exit(main())
