"""What every run says of itself: the commit of the code that it ran with."""

import subprocess
from functools import cache
from pathlib import Path

COMMIT = "derma/commit"


@cache
def run_tags() -> dict[str, str]:
    """Return the tags of a run: the commit that is checked out, with `+changes` if files differ from it.

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
