"""Having a browser for the checks, on a machine whose PATH and package manager are made up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from derma_assets.browser.chromium import ADVICE, find_browser
from derma_assets.settings import settings


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment without a browser, where nothing can be downloaded and `apt-get` is ours."""
    programs = tmp_path / "bin"
    programs.mkdir()
    return {
        "PATH": str(programs),
        "HOME": str(tmp_path),
        "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"),
        "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9",
    }


def install(machine: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "derma_assets.browser.install"]
    return subprocess.run(words, env=machine, capture_output=True, text=True, timeout=120)


def put(machine: dict[str, str], name: str, script: str) -> None:
    program = Path(machine["PATH"]) / name
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def real_browser() -> Path:
    found = find_browser(settings().browser)
    assert found is not None, ADVICE
    return found


def test_a_browser_on_the_path_is_enough(machine: dict[str, str], real_browser: Path) -> None:
    put(machine, "chromium", f'exec "{real_browser}" "$@"')
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert "bin/chromium" in done.stdout


def test_a_browser_that_does_not_start_does_not_count(machine: dict[str, str]) -> None:
    put(machine, "chromium", "exit 127")
    put(machine, "apt-get", "exit 100")
    done = install(machine)
    assert done.returncode != 0
    assert "does not start" in done.stderr
    assert "apt-get install chromium" in done.stderr


def test_root_gets_debians_package_where_playwrights_own_cannot_be_had(
    machine: dict[str, str], real_browser: Path
) -> None:
    programs = machine["PATH"]
    put(machine, "packaged", f'exec "{real_browser}" "$@"')
    put(machine, "apt-get", f'[ "$1" != install ] || cp "{programs}/packaged" "{programs}/chromium"')
    done = install(machine)
    if os.geteuid() == 0:
        assert done.returncode == 0, done.stderr
        assert f"{programs}/chromium" in done.stdout
    else:
        assert done.returncode != 0
        assert "none could be installed" in done.stderr
