"""Jobs: what a person or a schedule launches."""

import dagster as dg

from derma_assets.automation.run_tags import run_tags

retraining_job = dg.define_asset_job(
    "retraining_job",
    selection=dg.AssetSelection.all(),
    tags=run_tags(),
    description="From the data folder to the TF.js bundle: every asset and every check, in order.",
)
