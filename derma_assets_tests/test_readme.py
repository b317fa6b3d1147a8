"""README.md and the pages of docs/ name the settings and commands that there are, with the defaults they have."""

import re
from pathlib import Path

import pytest

from derma_assets.settings import DATASET_DEFAULTS, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# The rows of a table whose second column has the defaults, and what a sentence says of one: "`DERMA_SEED` (42)".
_TABLE = re.compile(r"^\| [^|]+ \| default \|.*\n(?:\|.*\n)*", re.MULTILINE)
_ROW = re.compile(r"^\| `DERMA_(\w+)` \| ([^|]+) \|", re.MULTILINE)
_SAID = re.compile(r"`DERMA_(\w+)`[^`(|]{0,30}\((\d[\d.]*)\)")
_SHOWN = re.compile(r"`?([^`( ]+)`?(?: \(sample: `?([^`),]+)`?.*\))?")


def said_of_defaults() -> list[tuple[str, str, str]]:
    """Return what the pages say: which page, which setting, and its default."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text()
        rows = [row for table in _TABLE.findall(text) for row in _ROW.findall(table)]
        found += [(page.name, name, default.strip()) for name, default in [*rows, *_SAID.findall(text)]]
    return found


def test_the_tables_are_found() -> None:
    pages = [page for page, _, _ in said_of_defaults()]
    assert pages.count("README.md") >= len(_ROW.findall(README)) > 20
    assert pages.count("storage.md") >= 3


@pytest.mark.parametrize(("page", "name", "default"), said_of_defaults())
def test_a_setting_has_the_default_that_the_page_says(page: str, name: str, default: str) -> None:
    field = Settings.model_fields[name.lower()]
    shown = _SHOWN.match(default)
    assert shown is not None
    of_data, of_sample = shown.groups()
    if field.default is None or field.default in ("", {}) or isinstance(field.default, Path):
        return  # said in words: none, download, a folder
    known = DATASET_DEFAULTS["ham10000"].get(name.lower(), field.default)
    assert of_data == str(int(known) if isinstance(known, bool) else known)
    known_of_sample = DATASET_DEFAULTS["sample"].get(name.lower(), known)
    if of_sample is not None or known_of_sample != known:
        assert of_sample == str(known_of_sample)


def test_each_command_is_there() -> None:
    commands = set(re.findall(r"\bmake ([a-z][a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "app"} <= commands
    assert commands <= targets
