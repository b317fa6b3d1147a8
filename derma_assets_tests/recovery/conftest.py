"""One undisturbed run to the served bundle: what every disturbed one is compared with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from derma_assets_tests.recovery.runs import begin, seconds_of_steps


@dataclass(frozen=True)
class Undisturbed:
    """A run from scratch.

    Attributes:
        data_dir: Where it wrote.
        seconds: How long each step took.
    """

    data_dir: Path
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    data_dir = tmp_path_factory.mktemp("undisturbed")
    with begin(data_dir) as run:
        return Undisturbed(data_dir, seconds_of_steps(run.wait()))


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Iterator[Callable[[str], None]]:
    """A function that takes a line of what was measured; they are shown in the end, for docs/recovery.md."""
    lines: list[str] = []
    yield lines.append
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    if lines and reporter is not None:
        reporter.write_line("")
        for line in lines:
            reporter.write_line(line)
