"""How Celery is set up, alike in the process of a run and in every worker: what one sends the other has to understand.

The broker is RabbitMQ. It notices that a worker is gone when the connection breaks, and gives its task to another one.
Redis only knows tasks that have not been acknowledged for so many seconds: fewer than the longest training takes, and
it would be trained twice at once; more, and a dead worker's fold waits for that long.
"""

from typing import Any

from derma_assets.execution.needs import DEFAULT_NEED

CELERY: dict[str, Any] = {
    # Steps without a tag, such as checks.
    "task_default_queue": DEFAULT_NEED,
    # A task is done when it is done, not when somebody has taken it: a dead worker's goes to another.
    "task_acks_late": True,
    # One task at a time: what waits in a worker's hands could be computed by an idle one.
    "worker_prefetch_multiplier": 1,
    # A process for each step: TensorFlow gives a GPU's memory back only when its process ends.
    "worker_max_tasks_per_child": 1,
    # Seconds that such a process may take to start: four unless set, and on a busy host it is killed before its work.
    "worker_proc_alive_timeout": 300,
    # What has lost the broker is given to another worker, so nobody should go on with it here.
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "broker_connection_retry_on_startup": True,
    # Seconds. A host that is cut off breaks no connection; after two missed beats the broker takes it for dead.
    "broker_heartbeat": 30,
}

# Results go straight to the process of the run that waits for them.
BACKEND = "rpc://"
