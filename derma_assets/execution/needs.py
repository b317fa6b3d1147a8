"""What a step needs of the machine that computes it, said in the words of each executor."""

from typing import Any, Literal

Need = Literal["cpu", "train"]

# The queue of every step that says nothing else.
DEFAULT_NEED: Need = "cpu"

QUEUE_TAG, KUBERNETES_TAG = "dagster-celery/queue", "dagster-k8s/config"

# What a step may take of a Kubernetes node. On all of HAM10000 training holds 1.8 GiB at most, prediction 1.7.
RESOURCES: dict[Need, dict[str, dict[str, str]]] = {
    "cpu": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "6Gi"}},
    "train": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
}


def step_tags(need: Need) -> dict[str, Any]:
    """Return the tags of a step: the Celery queue that it waits in, and the resources of its Kubernetes pod."""
    return {QUEUE_TAG: need, KUBERNETES_TAG: {"container_config": {"resources": RESOURCES[need]}}}
