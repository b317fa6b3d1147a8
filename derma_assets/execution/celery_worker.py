"""The Celery application of a worker: `celery -A derma_assets.execution.celery_worker worker -Q train,cpu -c 1`.

Not `dagster-celery worker start -y`: that writes the broker's address, password and all, to a file.
"""

from dagster_celery.executor import CeleryExecutor
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task

from derma_assets.execution.celery_config import BACKEND, CELERY
from derma_assets.execution.executors import broker_url
from derma_assets.settings import settings

app = make_app(CeleryExecutor.for_cli(broker=broker_url(settings()), backend=BACKEND, config_source=CELERY).app_args())

execute_plan = create_task(app)
