import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.config_schema import process_workspace_config

from derma_assets.settings import Settings
from derma_assets_tests.running import ROOT

DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file() and path.name != ".env")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
VARIABLE = re.compile(r"\b(?:DERMA|DAGSTER|AWS|POSTGRES|RABBITMQ|MINIO|HAM10000)_[A-Z0-9_]+\b")
# Variables of the images of others.
OF_IMAGES = {
    "POSTGRES_USER",
    "POSTGRES_DB",
    "RABBITMQ_DEFAULT_USER",
    "RABBITMQ_DEFAULT_PASS",
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
    "MINIO_ROOT_USER",
    "MINIO_ROOT_PASSWORD",
}
SECRET = re.compile(r"PASS|SECRET|ACCESS_KEY|MINIO_ROOT_USER")


def named(text: str) -> set[str]:
    return set(VARIABLE.findall(text))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_variable_is_documented(file: Path) -> None:
    text = file.read_text()
    documented = named((ROOT / "docs" / "cluster.md").read_text()) | OF_IMAGES
    ours = {f"DERMA_{name.upper()}" for name in Settings.model_fields}
    found = named(text) - {"DERMA_"}
    assert {name for name in found if name.startswith("DERMA_")} <= ours
    assert {name for name in found if not name.startswith("DERMA_")} <= documented


def test_compose_takes_every_secret_from_the_environment() -> None:
    seen = 0
    for name, service in COMPOSE["services"].items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.*\}", value), f"{name}: {variable}"
                seen += 1
            elif "://" in str(value) and "@" in str(value):
                assert re.search(r"//\w+:\$\{[A-Z_]+:\?[^}]*\}@", value), f"{name}: {variable}"
                seen += 1
    assert seen > 10


def test_the_example_of_an_environment_has_no_secret_and_all_that_compose_asks_for() -> None:
    lines = [line for line in (DEPLOY / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert {value for name, value in given.items() if re.search("PASSWORD|SECRET", name)} == {""}
    assert set(re.findall(r"\$\{([A-Z0-9_]+)", (DEPLOY / "compose.yaml").read_text())) == set(given)


def test_services_depend_on_services_that_are_there() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[name], name
    queues = {words[words.index("-Q") + 1] for words in _commands(services) if "-Q" in words}
    assert queues == {"train", "cpu"}


def test_modules_that_are_started_are_there() -> None:
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())
    charts = [one["dagsterApiGrpcArgs"] for one in values["dagster-user-deployments"]["deployments"]]
    words = [*_commands(COMPOSE["services"]), *charts]
    modules = {each[each.index(flag) + 1] for each in words for flag in ("-m", "-A") if flag in each}
    assert modules == {"derma_assets.definitions", "derma_assets.studies", "derma_assets.execution.celery_worker"}
    for module in modules:
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()


def test_the_instance_takes_postgresql_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text)
    for name in named(text):
        monkeypatch.setenv(name, f"value-of-{name}")
    reference = InstanceRef.from_dir(str(tmp_path))
    config = reference.storage_data.config_dict
    assert config["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}
    assert "value-of-" not in repr(reference)
    concurrency = yaml.safe_load(text)["concurrency"]
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())["concurrency"]
    assert values["runs"]["maxConcurrentRuns"] == concurrency["runs"]["max_concurrent_runs"]
    assert values["runs"]["tagConcurrencyLimits"] == concurrency["runs"]["tag_concurrency_limits"]
    assert values["pools"]["defaultLimit"] == concurrency["pools"]["default_limit"]


def test_the_workspace_names_both_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_CODE_HOST", "control")
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    assert process_workspace_config(workspace).success
    servers = {one["grpc_server"]["location_name"]: one["grpc_server"]["port"] for one in workspace["load_from"]}
    started = {
        words[words.index("-m") + 1]: int(words[-1]) for words in _commands(COMPOSE["services"]) if "-m" in words
    }
    assert servers == started


def _commands(services: dict[str, Any]) -> list[list[str]]:
    return [service["command"] for service in services.values() if "command" in service]
