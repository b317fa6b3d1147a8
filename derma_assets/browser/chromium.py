"""A real browser: finding one, and opening a page in it without anything of its own going over the network."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from derma_assets.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ADVICE = (
    "Install one: `playwright install --with-deps chromium`, or on Debian `apt-get install chromium`; "
    "or name one with DERMA_BROWSER."
)
_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
)


class BrowserUnavailable(UserError):
    """There is no browser, or it does not start: nothing can be checked, which is not the same as a failed check."""


def find_browser(preferred: Path | None) -> Path | None:
    """Return a Chromium-like browser: `preferred`, else one on the PATH, else Playwright's own, else None.

    Raises:
        BrowserUnavailable: `preferred` is given but does not exist.
    """
    if preferred is not None:
        found = shutil.which(preferred)
        if found is None:
            raise BrowserUnavailable(f"DERMA_BROWSER is {preferred}, which is no program. {ADVICE}")
        return Path(found)
    on_path = (shutil.which(name) for name in _NAMES)
    return next((Path(found) for found in on_path if found), None) or _playwrights_own()


def _playwrights_own() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


@contextmanager
def launched(executable: Path, arguments: Sequence[str] = ()) -> Iterator["Browser"]:
    """Run a browser headless meanwhile.

    Args:
        executable: The browser.
        arguments: Further ones of its command line.

    Raises:
        BrowserUnavailable: it does not start.
        UserError: it crashes, or does not do in time what it was asked to.
    """
    from playwright.sync_api import Error, sync_playwright

    # Chromium's sandbox refuses root; what is opened here is only ever this project's own page.
    sandbox = [] if not hasattr(os, "geteuid") or os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=executable, args=[*_ARGUMENTS, *sandbox, *arguments])
        except Error as error:
            raise BrowserUnavailable(f"{executable} does not start: {str(error).splitlines()[0]}. {ADVICE}") from error
        try:
            yield browser
        except Error as error:
            raise UserError(f"{executable} failed meanwhile: {error.message.splitlines()[0]}") from error
        finally:
            browser.close()


def open_bundle(browser: "Browser | BrowserContext", address: str) -> "Page":
    """Open a served bundle and wait until its model is loaded.

    Raises:
        UserError: the page says that something is wrong; the message is the page's.
    """
    from playwright.sync_api import Error

    page = browser.new_page()
    try:
        page.goto(address)
        page.evaluate("async () => { await window.derma.ready; }")
    except Error as error:
        raise UserError(f"the page at {address} cannot be used: {error.message.splitlines()[0]}") from error
    return page
