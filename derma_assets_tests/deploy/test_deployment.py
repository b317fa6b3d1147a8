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
# Those that a person makes are not ours to check.
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file() and path.name not in (".env", "settings.env"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
INSTANCE = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text())
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


def test_every_container_of_ours_reads_the_file_of_settings() -> None:
    ours = [service for service in COMPOSE["services"].values() if service["image"] == COMPOSE["x-ours"]["image"]]
    assert len(ours) == 8
    for service in ours:
        assert service["env_file"] == [{"path": "settings.env", "required": False}]
        # Hosts may differ in what `auto` means to them.
        assert service["environment"]["DERMA_PRECISION"] == "${DERMA_PRECISION:-float32}"
        # A container that lives in another's network loses it when that one is started anew.
        assert "network_mode" not in service
    assert "settings.env" in (DEPLOY / ".env.example").read_text()
    assert "--from-literal=DERMA_PRECISION=float32" in (ROOT / "docs" / "cluster.md").read_text()


def test_the_data_of_rabbitmq_outlives_its_container() -> None:
    rabbitmq = COMPOSE["services"]["rabbitmq"]
    # The folder of its data is named after the host.
    assert rabbitmq["hostname"] == "rabbitmq"
    assert rabbitmq["volumes"] == ["rabbitmq:/var/lib/rabbitmq"]


def test_postgresql_is_healthy_when_others_reach_it() -> None:
    words = COMPOSE["services"]["postgres"]["healthcheck"]["test"]
    assert words[words.index("-h") + 1] == "127.0.0.1"


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
    charts = [one["dagsterApiGrpcArgs"] for one in VALUES["dagster-user-deployments"]["deployments"]]
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


def test_the_chart_makes_the_same_instance() -> None:
    daemon = VALUES["dagsterDaemon"]
    monitoring = {**daemon["runMonitoring"], "pollIntervalSeconds": INSTANCE["run_monitoring"]["poll_interval_seconds"]}
    assert VALUES["telemetry"] == INSTANCE["telemetry"] == {"enabled": False}
    assert daemon["runRetries"] == _camel_case(INSTANCE["run_retries"])
    assert monitoring == _camel_case(INSTANCE["run_monitoring"])
    concurrency = VALUES["concurrency"]
    assert concurrency.pop("enabled") is True
    assert concurrency == {name: _camel_case(limits) for name, limits in INSTANCE["concurrency"].items()}


def test_no_run_is_given_up_before_the_longest_step() -> None:
    options = COMPOSE["services"]["rabbitmq"]["environment"]["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]
    assert int(options.split()[-1]) == 1000 * INSTANCE["run_monitoring"]["max_runtime_seconds"]


def test_the_pods_may_do_what_they_do_as_the_user_of_the_image() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (writable,) = re.findall(r"install -d -o derma (.*)", dockerfile)
    assert VALUES["global"]["dagsterHome"] in writable.split()
    assert f"DAGSTER_HOME={VALUES['global']['dagsterHome']} " in dockerfile
    webserver = VALUES["dagsterWebserver"]
    assert webserver["service"]["port"] == webserver["readinessProbe"]["httpGet"]["port"] >= 1024


def test_the_workspace_names_both_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_CODE_HOST", "DAGSTER_STUDIES_HOST"):
        monkeypatch.setenv(name, "control")
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    assert process_workspace_config(workspace).success
    servers = {one["grpc_server"]["location_name"]: one["grpc_server"]["port"] for one in workspace["load_from"]}
    started = {
        words[words.index("-m") + 1]: int(words[-1]) for words in _commands(COMPOSE["services"]) if "-m" in words
    }
    assert servers == started
    for one in workspace["load_from"]:
        host = COMPOSE["x-ours"]["environment"][one["grpc_server"]["host"]["env"]]
        assert one["grpc_server"]["location_name"] in COMPOSE["services"][host]["command"]


def _commands(services: dict[str, Any]) -> list[list[str]]:
    return [service["command"] for service in services.values() if "command" in service]


def _camel_case(settings: dict[str, Any]) -> dict[str, Any]:
    return {re.sub("_(.)", lambda found: found[1].upper(), name): value for name, value in settings.items()}
