"""What every run says of itself, however it was launched: the commit of its code, and the data version of its data."""

import functools
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from derma_assets.storage.published import known_record

COMMIT, DATA = "derma/commit", "derma/data_version"
# The asset whose data version says which data a run was of.
_ROOT = "raw_metadata"


@cache
def run_tags() -> dict[str, str]:
    """Return the tags that are known before a run: the commit that is checked out, with `+changes` if files differ.

    Empty where the code is not in a git repository, or git is not there.
    """
    root = Path(__file__).parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        changes = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return {COMMIT: git("rev-parse", "--short=12", "HEAD") + changes}
    except (OSError, subprocess.SubprocessError):
        return {}


def tagging(compute: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Wrap an asset's function, which yields its results, so that its run has the tags `COMMIT` and `DATA`.

    The second is the data version of the metadata: of those that are stored, until the run makes them anew.
    """

    def tag_before() -> None:
        context = dg.AssetExecutionContext.get()
        record = known_record(Path(context.resources.reuse.store), _ROOT)
        tag_run(context, {**run_tags(), **({DATA: record.data_version} if record else {})})

    @functools.wraps(compute)
    def wrapped(*args: Any, **kwargs: Any) -> Iterator[dg.MaterializeResult[Any]]:
        tag_before()
        for result in compute(*args, **kwargs):
            if compute.__name__ == _ROOT:
                tag_run(dg.AssetExecutionContext.get(), {DATA: result.data_version.value})
            yield result

    return wrapped


def tag_run(context: dg.AssetExecutionContext, tags: dict[str, str]) -> None:
    """Give the run these tags, unless it has them."""
    run = context.instance.get_run_by_id(context.run_id)
    missing = {name: value for name, value in tags.items() if run is not None and run.tags.get(name) != value}
    if missing:
        context.instance.add_run_tags(context.run_id, missing)
