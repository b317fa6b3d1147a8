"""Slowing a browser with all its processes and threads, as a slower device would be.

What the browser itself offers (`Emulation.setCPUThrottlingRate`) slows the main thread of a page only, and a model in a
worker runs on at full speed. The operating system's quotas hold for every thread: the kernel lets the group of
processes run for `threads / factor` of each 10 ms on all processors together (CFS bandwidth control). So `threads`
busy threads have 1/`factor` of a processor each, while fewer busy ones have more of it, up to `threads / factor`.

Where quotas are not ours to set (no cgroups, or read-only ones, as in most containers), all processes are stopped and
continued fifty times a second, so that they run for 1/`factor` of the time, however many threads are busy.

Neither is a phone: caches, memory and vector units stay a desktop's. Measure what was achieved
(`latency_calibration.py`).
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from derma_assets.errors import UserError

NOT_SLOWED = "not slowed"
V2, V1, STOPPED = "cgroup v2 quota", "cgroup v1 quota", "stopped and continued"

_PROC = Path("/proc")
_PREFIX = "derma-slowed-"
# Short, so that a run of some tens of milliseconds meets many periods; the kernel takes no quota below 1 ms.
_QUOTA_PERIOD_US = 10_000
_STOP_PERIOD_S = 0.02
_REMOVAL_TRIES = 50


class ThrottlingUnavailable(UserError):
    """This computer lets nobody slow a process."""


@contextmanager
def slowed(pid: int, factor: float, threads: int = 1) -> Iterator[str]:
    """Slow a process and all its descendants meanwhile, those that are started later too; yield how it is done.

    Args:
        pid: The browser's main process, which leads a process group of its own.
        factor: How many times slower; 1 leaves it as it is.
        threads: How many threads are busy at once.

    Raises:
        ThrottlingUnavailable: neither way works here.
        ValueError: `factor` or `threads` is below 1.
    """
    if factor < 1 or threads < 1:
        raise ValueError(f"factor and threads must be at least 1, got {factor} and {threads}")
    if factor == 1:
        yield NOT_SLOWED
        return
    ways: list[tuple[str, Callable[[], AbstractContextManager[None]]]] = [
        *((hierarchy.name, lambda at=hierarchy: _quota(at, pid, threads / factor)) for hierarchy in _hierarchies(pid)),
        (STOPPED, lambda: _stopped_and_continued(pid, factor)),
    ]
    with ExitStack() as stack:
        yield _first_that_works(ways, stack)


def _first_that_works(ways: list[tuple[str, Callable[[], AbstractContextManager[None]]]], stack: ExitStack) -> str:
    reasons = []
    for name, way in ways:
        try:
            stack.enter_context(way())
            return name
        except OSError as error:
            reasons.append(f"{name}: {error}")
    raise ThrottlingUnavailable(f"no process can be slowed on this computer ({'; '.join(reasons)}).")


@dataclass(frozen=True)
class _Hierarchy:
    """Where groups with a quota can be made.

    Attributes:
        name: `V2` or `V1`.
        parent: The group to make one in.
        home: The group that the process came from.
    """

    name: str
    parent: Path
    home: Path


def _hierarchies(pid: int) -> list[_Hierarchy]:
    """Return where a group with a quota may be made for a process, the likeliest first; none outside Linux."""
    try:
        mounts = [line.split() for line in (_PROC / "mounts").read_text().splitlines()]
        memberships = [line.split(":", 2) for line in (_PROC / str(pid) / "cgroup").read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, mount, kind, options, *_ in mounts:
        if kind == "cgroup2":
            home = Path(mount, _group(memberships, controller="").lstrip("/"))
            # A group that hands the controller down: a member of any other has no quota of its own.
            parents = [group for group in (home, *home.parents) if "cpu" in _words(group / "cgroup.subtree_control")]
            found += [_Hierarchy(V2, parent, home) for parent in parents]
        elif kind == "cgroup" and "cpu" in options.split(","):
            home = Path(mount, _group(memberships, controller="cpu").lstrip("/"))
            found += [_Hierarchy(V1, home, home)] if home.is_dir() else []
    return sorted(found, key=lambda hierarchy: hierarchy.name != V2)


def _group(memberships: list[list[str]], controller: str) -> str:
    """Return the group of a process from the lines of its `/proc/<pid>/cgroup`."""
    return next((group for _, controllers, group in memberships if controller in controllers.split(",")), "/")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


@contextmanager
def _quota(hierarchy: _Hierarchy, pid: int, processors: float) -> Iterator[None]:
    _remove_left_over(hierarchy.parent)
    group = hierarchy.parent / f"{_PREFIX}{os.getpid()}-{pid}"
    group.mkdir()
    try:
        _limit(group, hierarchy.name, processors)
        _move(pid, group)
        yield
    finally:
        with suppress(OSError):
            _limit(group, hierarchy.name, None)
        _remove(group, hierarchy.home)


def _limit(group: Path, kind: str, processors: float | None) -> None:
    """Let a group use so much of the processors; None: as much as there is."""
    quota = None if processors is None else max(1000, round(processors * _QUOTA_PERIOD_US))
    if kind == V2:
        (group / "cpu.max").write_text(f"{'max' if quota is None else quota} {_QUOTA_PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(_QUOTA_PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))


def _move(pid: int, group: Path) -> None:
    """Put a process and all its descendants into a group; whatever they start from then on is in it too."""
    moved: set[int] = set()
    while left := _tree(pid) - moved:
        for one in left:
            # A process that has ended in between is none to be slowed.
            with suppress(ProcessLookupError):
                (group / "cgroup.procs").write_text(str(one))
        moved |= left


def _tree(pid: int) -> set[int]:
    try:
        root = psutil.Process(pid)
        return {pid, *(child.pid for child in root.children(recursive=True))}
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(f"there is no process {pid}") from error


def _remove(group: Path, home: Path) -> None:
    """Give the members of a group back to the group they came from, and remove it."""
    for _ in range(_REMOVAL_TRIES):
        for member in _words(group / "cgroup.procs"):
            with suppress(OSError):
                (home / "cgroup.procs").write_text(member)
        with suppress(OSError):
            group.rmdir()
            return
        # A process that is ending is no member any more, and yet holds its group.
        time.sleep(0.1)


def _remove_left_over(parent: Path) -> None:
    """Remove the groups of measurements that were killed. Others that still run keep theirs, empty or not."""
    for group in parent.glob(f"{_PREFIX}*"):
        creator = group.name.removeprefix(_PREFIX).partition("-")[0]
        if creator.isdigit() and not psutil.pid_exists(int(creator)):
            with suppress(OSError):
                group.rmdir()


@contextmanager
def _stopped_and_continued(pid: int, factor: float) -> Iterator[None]:
    group = os.getpgid(pid)
    if group == os.getpgrp():
        raise PermissionError(f"process {pid} is in this process's own group, which would stop as well")
    os.killpg(group, 0)
    over = threading.Event()
    thread = threading.Thread(target=_alternate, args=(group, factor, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _alternate(group: int, factor: float, over: threading.Event) -> None:
    running = _STOP_PERIOD_S / factor
    # What sleeping too long gave is taken back in the same period, so that the shares of time come out right.
    with suppress(ProcessLookupError):
        try:
            while not over.is_set():
                started = time.perf_counter()
                time.sleep(running)
                os.killpg(group, signal.SIGSTOP)
                ran = time.perf_counter() - started
                over.wait(ran * (factor - 1))
                os.killpg(group, signal.SIGCONT)
        finally:
            os.killpg(group, signal.SIGCONT)
