"""Two hosts that share nothing but PostgreSQL, the broker and S3 train five folds; one of them is killed meanwhile."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster_graphql import DagsterGraphQLClient

from derma_assets.training.checkpoint import TrainingState
from derma_assets_tests.cluster.assets import OF_FOLDS, SETTINGS, SUMMARY, UPSTREAM
from derma_assets_tests.cluster.dagster_client import (
    FINISHED,
    launch_backfill,
    launch_run,
    steps_by_host,
    wait_until,
)
from derma_assets_tests.cluster.hosts import DISKS, Cluster, Host, cluster, inside_network
from derma_assets_tests.cluster.servers import (
    BUCKET,
    UI_PORT,
    Secrets,
    environment,
    prepare,
    s3_client,
    start_dagster,
    start_servers,
    start_worker,
)
from derma_assets_tests.running import ROOT
from derma_assets_tests.running import environment as local_environment

pytestmark = pytest.mark.cluster

FOLDS = ("0", "1", "2", "3", "4")
HOSTS = ("host-a", "host-b")
# Where states of trainings are in object storage.
UNFINISHED = "store/sample/unfinished/"
# Generous: a busy machine is no error.
STEP_S, BACKFILL_S = 900, 3600


@dataclass(frozen=True)
class Told:
    """How it went.

    Attributes:
        hosts: By name, all of them.
        victim: The host that was killed.
        fold: The fold that it was training.
        epochs: How many epochs of it were done.
        resumed: After how many epochs the training of each fold went on that an asset was made of.
        runs: Finished runs by fold; the summary's under its name.
        steps: Of each, the steps and the hosts that took them, in order.
        objects: What object storage has, by key.
        reference: Folder of the local store of one machine.
        hidden: What must be nowhere.
        shown: What anybody may see: by where, the text.
    """

    hosts: Mapping[str, Host]
    victim: str
    fold: str
    epochs: int
    resumed: Mapping[str, int]
    runs: Mapping[str, dg.DagsterRun]
    steps: Mapping[str, list[tuple[str, str]]]
    objects: Mapping[str, bytes]
    reference: Path
    hidden: Secrets
    shown: Mapping[str, bytes]

    def stored(self, name: str) -> bytes:
        """Return the one file of an asset, or of a partition, that object storage has."""
        document = json.loads(self.objects[f"store/sample/.records/{name}.json"])
        (sha256,) = document["record"]["sha256"].values()
        (content,) = (value for key, value in self.objects.items() if f"/{sha256}/" in key)
        return content


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with ExitStack() as stack:
        made = stack.enter_context(cluster())
        reference = DISKS / "one-machine"
        alone = subprocess.Popen(
            [sys.executable, "-m", "derma_assets_tests.cluster.one_machine"],
            cwd=ROOT,
            env=local_environment(reference, PYTHONPATH=str(ROOT), **SETTINGS),
            stdout=subprocess.DEVNULL,
            stderr=(log := stack.enter_context((DISKS / "one-machine.log").open("wb"))),
        )
        stack.callback(lambda: (alone.kill(), alone.wait()))
        control, hidden = made.add("control"), Secrets()
        env = environment(control, hidden, SETTINGS)
        prepare(control)
        start_servers(control, hidden, env)
        start_dagster(control, env)
        for name in HOSTS:
            prepare(host := made.add(name))
            start_worker(host, env)
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in env.items():
            if name.startswith("DAGSTER_PG"):
                monkeypatch.setenv(name, value)
        with inside_network(control), dg.DagsterInstance.from_config(str(control.disk / "dagster_home")) as instance:
            told = _scenario(made, instance, env, hidden, reference)
        assert alone.wait(timeout=BACKFILL_S) == 0, Path(log.name).read_text()[-3000:]
        yield told


def _scenario(
    made: Cluster, instance: dg.DagsterInstance, env: Mapping[str, str], hidden: Secrets, reference: Path
) -> Told:
    control = made.hosts[0]
    client = DagsterGraphQLClient(control.address, UI_PORT)
    first = launch_run(client, "derma_assets.definitions", UPSTREAM)
    wait_until(lambda: _run(instance, first).status in FINISHED, "the run of what folds need", made, BACKFILL_S)
    assert _run(instance, first).is_success, _said(instance, first)

    s3 = s3_client(env)
    backfill = launch_backfill(client, [*OF_FOLDS, SUMMARY], FOLDS)
    victim, state = wait_until(
        lambda: _in_mid_training(made.hosts[1:], s3), "a fold in training", made, STEP_S, every=0.05
    )
    victim.kill()
    epochs = len(TrainingState.load(state).history)
    fold = state.parent.name.removeprefix("training-fold-")

    def finished() -> bool:
        status = instance.get_backfill(backfill)
        return status is not None and status.status.name.startswith(("COMPLETED", "FAILED", "CANCELED"))

    wait_until(finished, "the backfill", made, BACKFILL_S)
    runs = {
        run.tags.get("dagster/partition", SUMMARY): run
        for run in reversed(instance.get_runs(filters=dg.RunsFilter(tags={"dagster/backfill": backfill})))
    }
    failed = {fold: _said(instance, run.run_id) for fold, run in runs.items() if not run.is_success}
    assert not failed, failed
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    objects = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    return Told(
        hosts={host.name: host for host in made.hosts},
        victim=victim.name,
        fold=fold,
        epochs=epochs,
        resumed={name: _resumed_after(instance, runs[name].run_id) for name in FOLDS},
        runs=runs,
        steps={
            name: steps_by_host(instance, run.run_id)
            for name, run in {**runs, "upstream": _run(instance, first)}.items()
        },
        objects=objects,
        reference=reference / "store" / "sample",
        hidden=hidden,
        shown={**objects, **_logs(made), "the database": _dump(control, env)},
    )


def _run(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def _said(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(event.user_message or str(event.dagster_event) for event in instance.all_logs(run_id))[-4000:]


def _in_mid_training(hosts: list[Host], s3: Any) -> tuple[Host, Path] | None:
    """Return a host and the state of a training there that is not done but in object storage, if there is one."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=UNFINISHED).get("Contents", [])
    shared = {one["Key"] for one in found}
    for host in hosts:
        for state in host.disk.rglob("training-fold-*/*.npz"):
            if f"{UNFINISHED}{state.parent.name}/{state.name}" in shared and not TrainingState.load(state).finished:
                return host, state
    return None


def _resumed_after(instance: dg.DagsterInstance, run_id: str) -> int:
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = record.asset_materialization
        if made is not None and made.asset_key == dg.AssetKey("fold_model"):
            return int(str(made.metadata["resumed_after_epoch"].value))
    raise AssertionError(f"run {run_id} has made no fold_model")


def _logs(made: Cluster) -> dict[str, bytes]:
    """Return what every program has said, and every file that ours have written on a host's disk."""
    return {
        str(path): path.read_bytes()
        for host in made.hosts
        for folder in ("log", "home", "data", "dagster_home")
        for path in (host.disk / folder).rglob("*")
        if path.is_file()
    }


def _dump(control: Host, env: Mapping[str, str]) -> bytes:
    words = ("pg_dump", "-h", control.address, "-U", "dagster", "dagster")
    return subprocess.run(
        control.command(*words), env={**env, "PGPASSWORD": env["DAGSTER_PG_PASSWORD"]}, capture_output=True, check=True
    ).stdout


def test_every_fold_and_the_summary_are_computed(told: Told) -> None:
    assert told.runs.keys() == {*FOLDS, SUMMARY}
    for fold in FOLDS:
        assert {step for step, _ in told.steps[fold]} == set(OF_FOLDS)


def test_both_hosts_take_steps(told: Told) -> None:
    hosts = {host for fold in FOLDS for _, host in told.steps[fold]}
    assert hosts == set(HOSTS)


def test_the_fold_of_the_killed_host_is_trained_again_on_the_other(told: Told) -> None:
    (survivor,) = set(HOSTS) - {told.victim}
    assert 1 <= told.epochs < int(SETTINGS["DERMA_EPOCHS"])
    assert [host for step, host in told.steps[told.fold] if step == "fold_model"] == [told.victim, survivor]
    # The others were trained once.
    often = Counter((fold, step) for fold in FOLDS for step, _ in told.steps[fold])
    assert {key for key, times in often.items() if times > 1} == {(told.fold, "fold_model")}


def test_it_goes_on_where_the_killed_host_was(told: Told) -> None:
    assert 1 <= told.resumed[told.fold] <= told.epochs
    assert {told.resumed[fold] for fold in FOLDS if fold != told.fold} == {0}


def test_the_figures_are_those_of_one_machine(told: Told) -> None:
    for name in (SUMMARY, *(f"fold_metrics/{fold}" for fold in FOLDS)):
        here = pd.read_parquet(io.BytesIO(told.stored(name)))
        pd.testing.assert_frame_equal(here, pd.read_parquet(told.reference / f"{name}.parquet"), check_exact=True)


def test_so_are_the_models(told: Told) -> None:
    for fold in FOLDS:
        here = json.loads(told.objects[f"store/sample/.records/fold_model/{fold}.json"])["record"]
        alone = json.loads((told.reference / ".records" / "fold_model" / f"{fold}.json").read_text())
        assert here["data_version"] == alone["data_version"]


def test_no_secret_is_shown_anywhere(told: Told) -> None:
    for secret in told.hidden:
        assert [where for where, text in told.shown.items() if secret.encode() in text] == []
    assert b"STEP_SUCCESS" in told.shown["the database"]
