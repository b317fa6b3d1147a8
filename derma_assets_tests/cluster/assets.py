"""What is computed on two hosts, and on one."""

from derma_assets.dataset.shards import shard_names
from derma_assets.settings import DATASET_DEFAULTS

SHARDS = shard_names(DATASET_DEFAULTS["sample"]["shards"])
UPSTREAM = ("raw_metadata", "raw_images", *SHARDS, "image_arrays", "grouped_splits")
OF_FOLDS = ("fold_model", "fold_predictions", "fold_metrics")
SUMMARY = "cross_validation_summary"

# Small enough for a test; everything else is the sample's.
SETTINGS = {
    "DERMA_DATASET": "sample",
    "DERMA_IMAGE_SIZE": "48",
    "DERMA_EPOCHS": "4",
    "DERMA_BOOTSTRAP_RESAMPLES": "100",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
