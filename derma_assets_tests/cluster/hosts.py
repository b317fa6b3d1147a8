"""Hosts made of Linux namespaces: each has its own network, name, processes and disk, and is killed as a whole.

The first one has a bridge that the others are plugged into. Nothing outside the namespaces can reach them, and their
addresses mean nothing outside. A host's disk is `/srv` inside it, and a folder below `DISKS` outside.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "derma-test-"
DISKS = Path("/var/tmp/derma-test-cluster")
INSIDE = Path("/srv")

_LOCK = Path("/run/lock/derma-test-cluster")
_NETWORK = "10.213.77"
_BRIDGE = "bridge"
_CLONE_NEWNET = 0x40000000

_UNSHARE = "unshare --mount --uts --pid --mount-proc --fork --kill-child sh"

# The host's first process: when it dies, the kernel kills all the others.
_INIT = f"""
set -e
hostname "$1"
ip link set lo up
mount --bind "$2" {INSIDE}
mount -t tmpfs none {DISKS}
cd {INSIDE}
echo up
exec sleep infinity
"""


@dataclass
class Host:
    """A host that runs.

    Attributes:
        name: As it calls itself.
        number: Last part of its address.
        keeper: The process outside that keeps it.
        init: Its first process, by its number outside.
        programs: What was started on it, by name.
    """

    name: str
    number: int
    keeper: subprocess.Popen[str]
    init: int
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{_NETWORK}.{self.number}"

    @property
    def disk(self) -> Path:
        return DISKS / self.name

    def command(self, *words: str) -> list[str]:
        """Return the command that runs `words` on this host, in its `/srv`."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--uts", "--net", "--pid", f"--wdns={INSIDE}"]
        return [*enter, "--", *words]

    def start(self, name: str, *words: str, env: Mapping[str, str]) -> None:
        """Start a program that goes on until the host dies; what it says is in `log(name)`."""
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            self.programs[name] = subprocess.Popen(
                self.command(*words), env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def is_alive(self) -> bool:
        return self.keeper.poll() is None

    def check(self) -> None:
        """Raise a `RuntimeError` with the end of its log if a program has ended."""
        for name, program in self.programs.items():
            if program.poll() is not None:
                raise RuntimeError(f"{name} on {self.name} has ended:\n{self.log(name).read_text()[-3000:]}")

    def log(self, name: str) -> Path:
        return self.disk / "log" / f"{name}.log"

    def kill(self) -> None:
        """Kill everything on this host at once, as a power cut does."""
        if self.is_alive:  # else its number may be another process's by now
            os.kill(self.init, signal.SIGKILL)
            self.keeper.kill()
        for process in (self.keeper, *self.programs.values()):
            process.wait(timeout=30)


class Cluster:
    """Hosts that reach each other and nothing else."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []

    def add(self, name: str) -> Host:
        """Start a host; the first one gets the bridge."""
        number = len(self.hosts) + 1
        space = PREFIX + name
        disk = DISKS / name
        disk.mkdir(parents=True)
        _run("ip", "netns", "add", space)
        # Dies with this process, even if that is killed.
        keeper = subprocess.Popen(
            [
                *f"setpriv --pdeathsig KILL ip netns exec {space} {_UNSHARE}".split(),
                "-c",
                _INIT,
                "init",
                name,
                str(disk),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "up\n", f"the host {name} did not start"
        init = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text())
        host = Host(name, number, keeper, init)
        self._plug_in(host)
        self.hosts.append(host)
        return host

    def _plug_in(self, host: Host) -> None:
        space, first = PREFIX + host.name, PREFIX + (self.hosts or [host])[0].name
        if host.number == 1:
            _run("ip", "-n", space, "link", "add", _BRIDGE, "type", "bridge")
            device = _BRIDGE
        else:
            plug, device = f"to-{host.number}", "eth0"
            _run("ip", "-n", first, "link", "add", plug, "type", "veth", "peer", "name", device, "netns", space)
            _run("ip", "-n", first, "link", "set", plug, "master", _BRIDGE, "up")
        _run("ip", "-n", space, "address", "add", f"{host.address}/24", "dev", device)
        _run("ip", "-n", space, "link", "set", device, "up")

    def remove(self) -> None:
        """Kill every host and remove its disk."""
        for host in self.hosts:
            host.kill()
        remove_left_over()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield hosts to be, and remove them whatever happens; what an earlier crash has left is removed first.

    Raises:
        PermissionError: only root may make namespaces.
    """
    if os.geteuid() != 0:
        raise PermissionError("making network namespaces needs root: run `sudo make test-cluster`")
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_left_over()
        made = Cluster()
        try:
            yield made
        finally:
            made.remove()


def remove_left_over() -> None:
    """Remove every host of ours, also those of a process that was killed."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for space in [line.split()[0] for line in listed.splitlines() if line.startswith(PREFIX)]:
        pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout.split()
        for pid in map(int, pids):
            with suppress(ProcessLookupError):
                # This process may be in there itself, see `inside_network`.
                if pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)
        _run("ip", "netns", "delete", space)
    shutil.rmtree(DISKS, ignore_errors=True)


@contextmanager
def inside_network(host: Host) -> Iterator[None]:
    """Let this thread open its connections as if it were on `host`; files, processes and names stay those outside."""
    with Path("/proc/self/ns/net").open() as outside, Path(f"/proc/{host.init}/ns/net").open() as inside:
        _enter(inside.fileno())
        try:
            yield
        finally:
            _enter(outside.fileno())


def _enter(network: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot enter the network of a host")


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
