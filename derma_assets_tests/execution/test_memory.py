"""What a step leaves behind goes back to the system before the next begins."""

import subprocess
import sys

import pytest

from derma_assets.stage import as_step

# Objects in a circle, freed in an order that leaves holes: most C libraries would keep such memory.
LEAVES_HOLES = """
import gc
import psutil
from derma_assets.execution.memory import give_memory_back
resident_bytes = lambda: psutil.Process().memory_info().rss
gc.disable()
class Holder: pass
holder = Holder()
holder.itself, holder.blocks = holder, [bytearray(60_000) for _ in range(4_000)]
last = bytearray(60_000)
held = resident_bytes()
del holder
give_memory_back(worth_it={worth_it})
print(held - resident_bytes())
"""


def _given_back(worth_it: int) -> int:
    code = LEAVES_HOLES.format(worth_it=worth_it)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_memory_that_nobody_uses_is_given_back_where_it_is_worth_it() -> None:
    assert _given_back(worth_it=0) > 200_000_000
    assert _given_back(worth_it=1 << 40) < 10_000_000


@pytest.mark.parametrize("generator", [False, True])
def test_every_step_begins_with_it(generator: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr("derma_assets.stage.give_memory_back", lambda: done.append("given back"))

    def gives() -> int:
        done.append("computed")
        return 1

    def yields():
        yield gives()

    result = as_step(yields if generator else gives)()
    assert (list(result) if generator else result) == ([1] if generator else 1)
    assert done == ["given back", "computed"]
