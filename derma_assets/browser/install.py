"""`python -m derma_assets.browser.install`: have a browser for the checks, or say what to install.

Looks for one first. Else it tries Playwright's own Chromium, then, as root on Debian or Ubuntu, the package `chromium`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from derma_assets.browser.chromium import ADVICE, BrowserUnavailable, find_browser, launched
from derma_assets.errors import UserError
from derma_assets.settings import settings


def install_browser() -> str:
    """Return the path of a browser, installing one if there is none.

    Raises:
        UserError: there is none and none could be installed; the message says what was tried.
    """
    found = _working(settings().browser)
    if found is not None:
        return str(found)
    tried = []
    for commands in _ways():
        tried.append(" && ".join(" ".join(command) for command in commands))
        print(f"No working browser found, trying: {tried[-1]}", file=sys.stderr)
        if all(_succeeds(command) for command in commands):
            found = _working(None)
            if found is not None:
                return str(found)
    raise UserError(f"no browser was found, and none could be installed by: {'; '.join(tried)}. {ADVICE}")


def _working(preferred: Path | None) -> Path | None:
    """Return a browser that starts: one that was downloaded may still lack libraries of the system."""
    try:
        found = find_browser(preferred)
        if found is not None:
            with launched(found):
                return found
    except BrowserUnavailable as error:
        print(error, file=sys.stderr)
    return None


def _ways() -> list[list[list[str]]]:
    """Return the ways to install a browser that this machine has, each as commands to run one after the other."""
    playwright = [sys.executable, "-m", "playwright", "install"]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return [[[*playwright, "chromium"]]]
    return [
        [[*playwright, "--with-deps", "chromium"]],
        [["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "chromium"]],
    ]


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdout=sys.stderr, timeout=600, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    try:
        print(f"browser for the checks: {install_browser()}")
    except UserError as error:
        sys.exit(f"error: {error}")
