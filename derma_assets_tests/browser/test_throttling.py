"""A browser is slowed with all that it starts, and runs on as before afterwards. Nothing here depends on time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from derma_assets.browser import throttling
from derma_assets.browser.throttling import NOT_SLOWED, STOPPED, V1, V2, ThrottlingUnavailable, slowed

# Starts a child, says so, starts another once it is told to, and works until it is killed.
_FAMILY = """
import subprocess, sys
busy = [sys.executable, "-c", "while True: pass"]
children = [subprocess.Popen(busy)]
print("started", flush=True)
sys.stdin.readline()
children.append(subprocess.Popen(busy))
print("started", flush=True)
while True: pass
"""

# How often a process is looked at before it is said never to stop, or never to run.
_LOOKS = 1_000_000


@pytest.fixture
def family() -> Iterator["subprocess.Popen[str]"]:
    pipe = subprocess.PIPE
    started = subprocess.Popen(
        [sys.executable, "-c", _FAMILY], stdin=pipe, stdout=pipe, text=True, start_new_session=True
    )
    with started as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
        members = psutil.Process(process.pid).children(recursive=True)
        for member in [*members, process]:
            member.kill()


def _grow(family: "subprocess.Popen[str]") -> set[int]:
    """Have the family start another process, and return all of them."""
    assert family.stdin is not None
    assert family.stdout is not None
    family.stdin.write("\n")
    family.stdin.flush()
    assert family.stdout.readline() == "started\n"
    return {family.pid, *(child.pid for child in psutil.Process(family.pid).children(recursive=True))}


def _is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def _made_up(
    kind: str, options: str, membership: str, folder: Path, pid: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Have ordinary folders stand in for the kernel's, and return those of its processes and of its groups."""
    proc, mount = folder / "proc", folder / "cgroup"
    (proc / str(pid)).mkdir(parents=True)
    (proc / "mounts").write_text(f"proc /proc proc rw 0 0\n{kind} {mount} {kind} {options} 0 0\n")
    (proc / str(pid) / "cgroup").write_text(f"5:memory:/elsewhere\n{membership}\n")
    mount.mkdir()
    monkeypatch.setattr(throttling, "_PROC", proc)
    # An ordinary folder with files in it cannot be removed as a group can.
    monkeypatch.setattr(throttling, "_REMOVAL_TRIES", 1)
    return proc, mount


def test_a_quota_of_version_2_is_set_and_lifted(
    family: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, mount = _made_up("cgroup2", "rw,nsdelegate", "0::/user/shell", tmp_path, family.pid, monkeypatch)
    (mount / "user" / "shell").mkdir(parents=True)
    # The shell's own group hands down nothing, the one above hands down the processors.
    (mount / "user" / "shell" / "cgroup.subtree_control").write_text("\n")
    (mount / "user" / "cgroup.subtree_control").write_text("memory cpu\n")

    with slowed(family.pid, 6, threads=2) as how:
        assert how == V2
        (group,) = mount.glob("user/derma-slowed-*")
        assert (group / "cpu.max").read_text() == "3333 10000"
        assert int((group / "cgroup.procs").read_text()) in throttling._tree(family.pid)
    assert (group / "cpu.max").read_text() == "max 10000"
    assert (mount / "user" / "shell" / "cgroup.procs").exists()


def test_a_quota_of_version_1_is_set_and_lifted(
    family: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, mount = _made_up("cgroup", "rw,cpu,cpuacct", "3:cpu,cpuacct:/jobs", tmp_path, family.pid, monkeypatch)
    (mount / "jobs").mkdir()

    with slowed(family.pid, 4) as how:
        assert how == V1
        (group,) = mount.glob("jobs/derma-slowed-*")
        assert (group / "cpu.cfs_period_us").read_text() == "10000"
        assert (group / "cpu.cfs_quota_us").read_text() == "2500"
    assert (group / "cpu.cfs_quota_us").read_text() == "-1"
    assert (mount / "jobs" / "cgroup.procs").exists()


def test_without_groups_all_processes_are_stopped_and_continued(
    family: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling, "_PROC", tmp_path)

    with slowed(family.pid, 4) as how:
        assert how == STOPPED
        for pid in _grow(family):
            assert any(_is_stopped(pid) for _ in range(_LOOKS))
            assert not all(_is_stopped(pid) for _ in range(_LOOKS))
    assert not any(_is_stopped(pid) for pid in throttling._tree(family.pid))


def test_what_this_computer_offers_holds_for_children_and_leaves_nothing_behind(
    family: "subprocess.Popen[str]",
) -> None:
    def groups() -> set[str]:
        return {Path(f"/proc/{pid}/cgroup").read_text() for pid in throttling._tree(family.pid)}

    linux = Path("/proc/self/cgroup").exists()
    before = groups() if linux else set()
    with pytest.raises(KeyError), slowed(family.pid, 6) as how:
        members = _grow(family)
        assert len(members) == 3
        if how in (V1, V2):
            # All of them in one group, which is not the one they came from.
            (now,) = groups()
            assert now not in before
            assert "derma-slowed-" in now
        raise KeyError
    if linux:
        assert groups() == before
    # Others may be measuring on this computer meanwhile.
    own = f"derma-slowed-{os.getpid()}-*"
    assert not [group for one in throttling._hierarchies(family.pid) for group in one.parent.glob(own)]
    assert not any(_is_stopped(pid) for pid in members)


def test_what_killed_measurements_left_is_removed_and_what_others_use_is_not(
    family: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, mount = _made_up("cgroup", "rw,cpu", "3:cpu:/", tmp_path, family.pid, monkeypatch)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left, used = mount / f"derma-slowed-{ended.pid}-7", mount / f"derma-slowed-{os.getppid()}-7"
    left.mkdir()
    # Just made by another measurement, which has not put its browser in yet.
    used.mkdir()

    with slowed(family.pid, 4) as how:
        assert how == V1
    assert not left.exists()
    assert used.exists()


def test_what_cannot_be_slowed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_PROC", tmp_path)
    # This process's own group would stop the tests.
    with pytest.raises(ThrottlingUnavailable, match="own group"), slowed(os.getpid(), 2):
        pass
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with pytest.raises(ThrottlingUnavailable, match="no process can be slowed"), slowed(ended.pid, 2):
        pass


def test_full_speed_is_left_alone() -> None:
    with slowed(os.getpid(), 1) as how:
        assert how == NOT_SLOWED


@pytest.mark.parametrize(("factor", "threads"), [(0.5, 1), (4, 0)])
def test_nonsense_is_refused(factor: float, threads: int) -> None:
    with pytest.raises(ValueError, match="at least 1"), slowed(os.getpid(), factor, threads):
        pass
