"""Running the project's commands as a user does: in a process of its own, with an environment of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
TIMEOUT_S = 2400


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return an environment without the caller's `DERMA_` settings, with everything written below `data_dir`."""
    home = data_dir / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text((ROOT / "derma_assets/automation/dagster.yaml").read_text())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DERMA_", "DAGSTER_"))}
    # The browser is the machine's, not the test's.
    browser = {name: value for name, value in os.environ.items() if name == "DERMA_BROWSER"}
    return {**kept, **browser, "DERMA_DATA_DIR": str(data_dir), "DAGSTER_HOME": str(home), **settings}


def command(
    *words: str, env: Mapping[str, str], cwd: Path = ROOT, timeout: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run a console script of the environment and return what it said; its exit status is the caller's to judge."""
    return subprocess.run(
        [str(BIN / words[0]), *words[1:]], cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=timeout
    )


def materialize(selection: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `dagster asset materialize` for a selection."""
    words = ("dagster", "asset", "materialize", "-m", "derma_assets.definitions", "--select", selection)
    return command(*words, env=env)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(*words: str, env: Mapping[str, str], address: str) -> Iterator[str]:
    """Run a server of the environment meanwhile, and yield `address` once something answers there."""
    server = subprocess.Popen([str(BIN / words[0]), *words[1:]], cwd=ROOT, env=dict(env), stdout=subprocess.DEVNULL)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        # Not terminate: a test before may have left SIGTERM ignored in this process, which children inherit.
        server.kill()
        server.wait(timeout=30)


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return all that a command said."""
    return f"{run.stdout}\n{run.stderr}"
