"""The real servers of a cluster, on one host of it: PostgreSQL, RabbitMQ, an S3 server, and Dagster's own."""

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from derma_assets_tests.cluster.hosts import INSIDE, Host, inside_network
from derma_assets_tests.running import BIN, ROOT

BUCKET = "derma"
POSTGRES_PORT, RABBITMQ_PORT, S3_PORT, UI_PORT = 5432, 5672, 9000, 3000
CODE_PORTS = {"derma_assets.definitions": 4001, "derma_assets.studies": 4002}
TIMEOUT_S = 240


def _secret(name: str) -> str:
    return f"{name}-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Secrets:
    """What is told to processes in their environment and must be found nowhere else."""

    postgres: str = field(default_factory=lambda: _secret("postgres"))
    rabbitmq: str = field(default_factory=lambda: _secret("rabbitmq"))
    s3: str = field(default_factory=lambda: _secret("s3"))

    def __iter__(self) -> Any:
        return iter((self.postgres, self.rabbitmq, self.s3))


def environment(control: Host, hidden: Secrets, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every process of ours in the cluster: all that its hosts are told."""
    return {
        "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "HOME": str(INSIDE / "home"),
        "DAGSTER_HOME": str(INSIDE / "dagster_home"),
        "DAGSTER_PG_HOST": control.address,
        "DAGSTER_PG_DB": "dagster",
        "DAGSTER_PG_USERNAME": "dagster",
        "DAGSTER_PG_PASSWORD": hidden.postgres,
        "DAGSTER_CODE_HOST": control.address,
        "DAGSTER_STUDIES_HOST": control.address,
        "DERMA_EXECUTOR": "celery",
        "DERMA_BROKER_URL": f"amqp://derma:{hidden.rabbitmq}@{control.address}:{RABBITMQ_PORT}//",
        "DERMA_DATA_DIR": str(INSIDE / "data"),
        "DERMA_STORAGE": f"s3://{BUCKET}/store",
        "AWS_ENDPOINT_URL": f"http://{control.address}:{S3_PORT}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "derma",
        "AWS_SECRET_ACCESS_KEY": hidden.s3,
        **settings,
    }


def s3_client(env: Mapping[str, str]) -> Any:
    """Return a client of the cluster's S3 server."""
    return boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_DEFAULT_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def prepare(host: Host) -> None:
    """Put on a host's disk what a person would put there: folders, and the instance's file."""
    for folder in ("home", "data", "dagster_home"):
        (host.disk / folder).mkdir()
    shutil.copy(ROOT / "deploy" / "dagster.yaml", host.disk / "dagster_home")


def start_servers(control: Host, hidden: Secrets, env: Mapping[str, str]) -> None:
    """Start PostgreSQL, RabbitMQ and the S3 server, and return when all answer."""
    _start_postgres(control, hidden)
    _start_rabbitmq(control, hidden)
    # moto's server has no say in who may do what, but is told, and could tell, the keys.
    control.start("s3", str(BIN / "moto_server"), "-H", control.address, "-p", str(S3_PORT), env=_plain(control))
    for port in (POSTGRES_PORT, RABBITMQ_PORT, S3_PORT):
        wait_for(control, port)
    run(control, "createdb", "-h", control.address, "-U", "dagster", "dagster", PGPASSWORD=hidden.postgres)
    with inside_network(control):
        s3_client(env).create_bucket(Bucket=BUCKET)


def start_dagster(control: Host, env: Mapping[str, str]) -> None:
    """Start the code servers, the daemon and the webserver, and return when all answer."""
    # Once, before several would make the same tables at the same time.
    run(control, str(BIN / "dagster"), "instance", "migrate", **env)
    for module, port in CODE_PORTS.items():
        words = ("api", "grpc", "-m", module, "-h", control.address, "-p", str(port))
        control.start(f"code-{port}", str(BIN / "dagster"), *words, env=env)
    for port in CODE_PORTS.values():
        wait_for(control, port)
    workspace = str(ROOT / "deploy" / "workspace.yaml")
    control.start("daemon", str(BIN / "dagster-daemon"), "run", "-w", workspace, env=env)
    words = ("-w", workspace, "-h", control.address, "-p", str(UI_PORT))
    control.start("webserver", str(BIN / "dagster-webserver"), *words, env=env)
    wait_for(control, UI_PORT)


def start_worker(host: Host, env: Mapping[str, str]) -> None:
    """Start a worker of both queues that does one step at a time."""
    words = ("-A", "derma_assets.execution.celery_worker", "worker", "-Q", "train,cpu", "-c", "1", "--loglevel", "INFO")
    host.start("worker", str(BIN / "celery"), *words, env=env)


def run(host: Host, *words: str, **environment: str) -> None:
    """Run a program on a host to its end.

    Raises:
        RuntimeError: it failed; the message has what it said.
    """
    done = subprocess.run(host.command(*words), env=_plain(host) | environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout}\n{done.stderr}")


def wait_for(host: Host, port: int) -> None:
    """Return when something listens on a port of `host`.

    Raises:
        RuntimeError: a program on the host has ended.
        TimeoutError: nothing listens there after `TIMEOUT_S`.
    """
    with inside_network(host):
        for _ in range(TIMEOUT_S * 5):
            with suppress(OSError):
                socket.create_connection((host.address, port), timeout=5).close()
                return
            host.check()
            time.sleep(0.2)
    raise TimeoutError(f"nothing listens on {host.address}:{port} after {TIMEOUT_S} s")


def _plain(host: Host) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": str(INSIDE)}


def _start_postgres(control: Host, hidden: Secrets) -> None:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
    folder = INSIDE / "postgres"
    (control.disk / "postgres").mkdir()
    shutil.chown(control.disk / "postgres", "postgres", "postgres")
    as_postgres = ("runuser", "-u", "postgres", "--", "bash", "-c")
    options = f"-D {folder}/data -U dagster -A scram-sha-256 --no-sync"
    made = f'{binaries}/initdb {options} --pwfile=<(printf %s "$PGPASSWORD")'
    run(control, *as_postgres, made, PGPASSWORD=hidden.postgres)
    with (control.disk / "postgres" / "data" / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {control.address}/24 scram-sha-256\n")
    options = f"-D {folder}/data -k {folder} -c listen_addresses={control.address} -c port={POSTGRES_PORT} -c fsync=off"
    control.start("postgres", *as_postgres, f"exec {binaries}/postgres {options}", env=_plain(control))


def _start_rabbitmq(control: Host, hidden: Secrets) -> None:
    folder, disk = INSIDE / "rabbitmq", control.disk / "rabbitmq"
    disk.mkdir()
    # A step may take longer than half an hour, after which RabbitMQ would take its worker for stuck.
    (disk / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = {control.address}:{RABBITMQ_PORT}\n"
        f"default_user = derma\ndefault_pass = {hidden.rabbitmq}\nconsumer_timeout = 604800000\n"
    )
    (disk / "enabled_plugins").write_text("[].\n")
    shutil.chown(disk, "rabbitmq", "rabbitmq")
    settings = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": "rabbit@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOGS": "-",
    }
    server = "exec /usr/lib/rabbitmq/bin/rabbitmq-server"
    words = ("runuser", "-u", "rabbitmq", "--", "sh", "-c", server)
    control.start("rabbitmq", *words, env=_plain(control) | settings)
