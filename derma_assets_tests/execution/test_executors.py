import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.executor.init import InitExecutorContext
from dagster_celery.executor import CeleryExecutor
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job, get_user_defined_k8s_config
from kubernetes.client import ApiClient

from derma_assets import definitions, studies
from derma_assets.errors import InputError, UserError
from derma_assets.evaluation import fold_assets
from derma_assets.execution.executors import chosen_executor
from derma_assets.execution.needs import QUEUE_TAG
from derma_assets.settings import Settings, settings

BROKER = "amqp://derma:a-secret@localhost:5672//"
TRAINING = {"trained_classifier", "fold_model", "trial_figures"}


def queues() -> dict[str, str | None]:
    """Return the queue of each step of both code locations, by its name; None where it has no tag."""
    assets = [*(definitions.defs.assets or []), *(studies.defs.assets or [])]
    executable = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition) and asset.is_executable]
    return {asset.op.name: asset.op.tags.get(QUEUE_TAG) for asset in executable}


def created(definition: dg.ExecutorDefinition, config: dict[str, Any]) -> Any:
    """Return the executor as a run with this configuration of it would make it."""
    evaluated = definition.apply_config_mapping({"config": config})
    assert evaluated.success, evaluated.errors
    creation = definition.executor_creation_fn
    assert creation is not None
    context = InitExecutorContext(
        job=InMemoryJob(dg.GraphDefinition(name="nothing").to_job()),
        executor_def=definition,
        executor_config=evaluated.value["config"],
        instance=dg.DagsterInstance.ephemeral(),
    )
    return creation(context)


def test_training_waits_in_a_queue_of_its_own() -> None:
    found = queues()
    assert {name for name, queue in found.items() if queue == "train"} == TRAINING
    assert {queue for name, queue in found.items() if name not in TRAINING} == {"cpu"}


def test_both_locations_run_their_steps_alike() -> None:
    assert definitions.defs.executor == studies.defs.executor


def test_celery_gets_the_broker_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMA_BROKER_URL", BROKER)
    executor = created(chosen_executor(Settings(executor="celery")), {})
    assert isinstance(executor, CeleryExecutor)
    assert executor.broker == BROKER
    # What is not tagged, such as a check, must not wait in a queue that no worker listens to.
    assert executor.config_source.task_default_queue == "cpu"
    assert executor.config_source.task_acks_late is True


def test_celery_without_a_broker_is_refused() -> None:
    with pytest.raises(InputError, match="DERMA_BROKER_URL"):
        chosen_executor(Settings(executor="celery"))


def test_the_address_of_the_broker_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a-secret" not in repr(Settings(executor="celery", broker_url=BROKER))
    monkeypatch.setenv("DERMA_BROKER_URL", "redis://:a-secret@localhost")
    settings.cache_clear()
    try:
        with pytest.raises(UserError, match=r"DERMA_BROKER_URL=.*amqp") as refused:
            settings()
    finally:
        settings.cache_clear()
    assert "a-secret" not in str(refused.value)


def test_a_step_has_a_pod_with_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "current-context": "none",
                "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
                "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "none", "user": {}}],
            }
        )
    )
    config = {"load_incluster_config": False, "kubeconfig_file": str(tmp_path / "kubeconfig"), "max_concurrent": 3}
    executor = created(chosen_executor(Settings(executor="k8s")), config)
    assert executor._max_concurrent == 3
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="derma-assets:1", dagster_home="/dagster_home", env_secrets=["derma-secrets"]),
        args=["dagster", "api", "execute_step", "..."],
        job_name="dagster-step-1",
        user_defined_k8s_config=get_user_defined_k8s_config(fold_assets.fold_model.op.tags),
    )
    (container,) = ApiClient().sanitize_for_serialization(job)["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}}
    assert container["envFrom"] == [{"secretRef": {"name": "derma-secrets"}}]
    assert not re.search("secret", " ".join(container["args"]))
