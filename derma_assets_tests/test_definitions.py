"""The graph loads without what takes seconds to import, whoever asks for it."""

import subprocess
import sys

SLOW = ("tensorflow", "sklearn", "scipy.stats", "cleanlab", "fairlearn")


def test_the_graph_loads_without_what_is_slow_to_import() -> None:
    code = f"""
import sys, derma_assets.definitions, derma_assets.studies
print([name for name in {SLOW} if name in sys.modules])"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
