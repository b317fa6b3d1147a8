"""Fixtures of more than one stage, and where tests run side by side, those of one folder stay together.

What the fixtures of a folder make is then made once. There is one S3 server for all folders of a process: a client is
bound to the first address that it is made for.
"""

from pathlib import Path

import pytest

from derma_assets_tests.shared_bucket import new_client, proxy, server, shared

__all__ = ["new_client", "proxy", "server", "shared"]

_HERE = Path(__file__).parent
# The longest ones: begun last, they would go on alone when all others are done. Those of the storage wait a lot, while
# others compute.
_FIRST = ("end_to_end", "training", "storage")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its folder as the group that one process works through, and begin with the longest."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _FIRST.index(_group(item)) if _group(item) in _FIRST else len(_FIRST))


def _group(item: pytest.Item) -> str:
    return str(item.path.parent.relative_to(_HERE))
