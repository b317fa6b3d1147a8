"""What the service worker keeps on the device: the list is written into its script when the bundle is made.

Only then are the files known, and a script that changes with them is how a browser notices that there is a new version.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from derma_assets.errors import InputError

SERVICE_WORKER = "sw.js"
PLACEHOLDER = "self.__PRECACHE__"
# Decoders and back ends that few people need are fetched when they are.
LAZY = "lazy-"


def precached(files: Mapping[str, str]) -> dict[str, str]:
    """Return what is kept of a page's files: all but those that are fetched when needed, and source maps.

    Args:
        files: SHA-256 of each file by its path in the bundle.
    """
    return {
        path: sha256
        for path, sha256 in files.items()
        if path != SERVICE_WORKER and not path.endswith(".map") and not path.rpartition("/")[2].startswith(LAZY)
    }


def fill_precache(script: Path, files: Mapping[str, str], instead_of: Mapping[str, str] | None = None) -> None:
    """Write into a service worker's script which files it keeps.

    Args:
        script: The script.
        files: SHA-256 of each file of the page by its path in the bundle.
        instead_of: The files that the script was filled with, if it was.

    Raises:
        InputError: there is no such script, or it does not have exactly one place for the list.
    """
    if not script.is_file():
        raise InputError(f"the built page has no {script.name}: materialize web_app again.")
    place = PLACEHOLDER if instead_of is None else _listed(instead_of)
    text = script.read_text()
    if text.count(place) != 1:
        raise InputError(
            f"{script.name} has {text.count(place)} places for the list of files instead of one: "
            "materialize web_app again."
        )
    script.write_text(text.replace(place, _listed(files)))


def is_precached(script: Path, files: Mapping[str, str]) -> bool:
    """Return whether a service worker's script is there and was filled with these files."""
    return script.is_file() and script.read_text().count(_listed(files)) == 1


def _listed(files: Mapping[str, str]) -> str:
    return json.dumps([{"url": path, "revision": sha256} for path, sha256 in sorted(precached(files).items())])
