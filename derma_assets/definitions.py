"""Everything wired: the one place that builds `Definitions`.

Every command of Dagster's loads it first, so what takes long to import (TensorFlow, scikit-learn with all of SciPy's
statistics, and what is built on them) is imported where it is called.
"""

import dagster as dg

from derma_assets.automation import jobs, schedules, sensors
from derma_assets.automation.console import console_logger
from derma_assets.automation.freshness import made_every_week
from derma_assets.browser import assets as browser_assets
from derma_assets.browser import checks as browser_checks
from derma_assets.browser import latency_asset
from derma_assets.calibration import assets as calibration_assets
from derma_assets.calibration import checks as calibration_checks
from derma_assets.dataset import artefact_assets, mask_assets
from derma_assets.dataset import assets as dataset_assets
from derma_assets.dataset import checks as dataset_checks
from derma_assets.evaluation import assets as evaluation_assets
from derma_assets.evaluation import (
    card_assets,
    drift_assets,
    drift_checks,
    explanation_assets,
    quality_assets,
    quality_checks,
    subgroup_assets,
    uncertainty_assets,
)
from derma_assets.execution.executors import chosen_executor
from derma_assets.promotion import promotion_assets, promotion_checks
from derma_assets.settings import settings
from derma_assets.splits import assets as splits_assets
from derma_assets.splits import checks as splits_checks
from derma_assets.storage.io_managers import io_managers
from derma_assets.training import assets as training_assets
from derma_assets.training import checks as training_checks

defs = dg.Definitions(
    assets=made_every_week(
        dg.load_assets_from_modules(
            [
                dataset_assets,
                artefact_assets,
                mask_assets,
                splits_assets,
                training_assets,
                calibration_assets,
                evaluation_assets,
                drift_assets,
                uncertainty_assets,
                quality_assets,
                explanation_assets,
                subgroup_assets,
                browser_assets,
                latency_asset,
                card_assets,
                promotion_assets,
            ]
        ),
    ),
    asset_checks=dg.load_asset_checks_from_modules(
        [
            dataset_checks,
            splits_checks,
            training_checks,
            calibration_checks,
            quality_checks,
            drift_checks,
            browser_checks,
            promotion_checks,
        ]
    ),
    jobs=[jobs.retraining_job],
    schedules=[schedules.retraining_schedule],
    sensors=[sensors.new_pictures, sensors.new_content, sensors.failed_run],
    resources=io_managers(settings().store, force=settings().force),
    loggers={"console": console_logger},
    executor=chosen_executor(settings()),
)
