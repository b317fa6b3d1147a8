"""The executor that `DERMA_EXECUTOR` names, for every code location."""

import dagster as dg

from derma_assets.errors import InputError
from derma_assets.execution.celery_config import BACKEND, CELERY
from derma_assets.execution.needs import DEFAULT_NEED, RESOURCES
from derma_assets.settings import Settings


def chosen_executor(chosen: Settings) -> dg.ExecutorDefinition:
    """Return how Dagster runs the steps of a run.

    Raises:
        InputError: `celery` without a broker, or a package that is not installed.
    """
    return _EXECUTORS[chosen.executor](chosen)


def broker_url(chosen: Settings) -> str:
    """Return the address of RabbitMQ, which may hold a password.

    Raises:
        InputError: none is set.
    """
    if chosen.broker_url is None:
        raise InputError(
            "DERMA_EXECUTOR=celery needs the address of RabbitMQ: DERMA_BROKER_URL=amqp://user:password@host:5672//"
        )
    return chosen.broker_url.get_secret_value()


def _celery(chosen: Settings) -> dg.ExecutorDefinition:
    broker_url(chosen)
    try:
        from derma_assets.execution.celery_executor import loss_aware_celery_executor
    except ImportError as error:
        raise _not_installed("celery") from error
    # By its name: Dagster keeps and shows what an executor is configured with.
    configuration = {"broker": {"env": "DERMA_BROKER_URL"}, "backend": BACKEND, "config_source": CELERY}
    return loss_aware_celery_executor.configured(configuration, name="celery")


def _kubernetes(chosen: Settings) -> dg.ExecutorDefinition:
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise _not_installed("k8s") from error
    # Image, environment and secrets of a step are those of its run; a step's own tags say what else it needs.
    return k8s_job_executor.configured(
        lambda given: {"resources": RESOURCES[DEFAULT_NEED], **given},
        config_schema=k8s_job_executor.config_schema.as_field(),
        name="k8s",
    )


def _not_installed(executor: str) -> InputError:
    return InputError(f"DERMA_EXECUTOR={executor} needs more packages: pip install 'derma_assets[cluster]'")


_EXECUTORS = {
    "in_process": lambda chosen: dg.in_process_executor,
    "multiprocess": lambda chosen: dg.multiprocess_executor,
    "celery": _celery,
    "k8s": _kubernetes,
}
