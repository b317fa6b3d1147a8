"""README.md names the settings and commands that there are, with the defaults they have."""

import re
from pathlib import Path

import pytest

from derma_assets.settings import DATASET_DEFAULTS, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
_ROW = re.compile(r"^\| `DERMA_(\w+)` \| ([^|]+) \|", re.MULTILINE)
_SHOWN = re.compile(r"`?([^`( ]+)`?(?: \(sample: `?([^`),]+)`?.*\))?")


@pytest.mark.parametrize(("name", "default"), _ROW.findall(README))
def test_a_setting_has_the_default_that_the_table_says(name: str, default: str) -> None:
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
