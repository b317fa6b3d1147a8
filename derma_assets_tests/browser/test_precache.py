"""The service worker is told what to keep: the page, whole, and nothing that is fetched when needed."""

import json
from pathlib import Path

import pytest

from derma_assets.browser.precache import PLACEHOLDER, fill_precache, is_precached, precached
from derma_assets.errors import InputError

FILES = {"index.html": "aa", "assets/page-1.js": "bb", "manifest.json": "cc"}
LATER = {"assets/lazy-heic-1.js": "dd", "assets/page-1.js.map": "ee", "sw.js": "ff"}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "sw.js"
    path.write_text(f"keep({PLACEHOLDER})")
    return path


def test_what_is_needed_later_or_never_is_not_kept() -> None:
    assert precached(FILES | LATER) == FILES


def test_the_list_stands_in_the_script(script: Path) -> None:
    fill_precache(script, FILES | LATER)
    listed = json.loads(script.read_text().removeprefix("keep(").removesuffix(")"))

    assert {entry["url"]: entry["revision"] for entry in listed} == FILES
    assert [entry["url"] for entry in listed] == sorted(FILES)
    assert is_precached(script, FILES)
    assert not is_precached(script, FILES | {"index.html": "ab"})


def test_one_list_takes_the_place_of_another(script: Path) -> None:
    fill_precache(script, FILES)
    changed = FILES | {"index.html": "ab"}
    fill_precache(script, changed, instead_of=FILES)

    assert is_precached(script, changed)


@pytest.mark.parametrize("content", ["keep()", f"{PLACEHOLDER}, {PLACEHOLDER}"])
def test_a_script_without_its_one_place_is_refused(script: Path, content: str) -> None:
    script.write_text(content)

    with pytest.raises(InputError, match=r"sw\.js has"):
        fill_precache(script, FILES)


def test_a_page_without_a_service_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no sw\.js"):
        fill_precache(tmp_path / "sw.js", FILES)
    assert not is_precached(tmp_path / "sw.js", FILES)
