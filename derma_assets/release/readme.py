"""Writing what the release measured into documents: `python -m derma_assets.release.readme README.md ...`."""

import argparse
import sys
from pathlib import Path

from derma_assets.errors import told_to_the_user
from derma_assets.release.verify import remeasured, rewritten
from derma_assets.settings import settings
from derma_assets.storage.atomic import replacing


def write_blocks(folder: Path, documents: list[Path]) -> list[Path]:
    """Write the blocks of every document anew from the release in `folder`; return the documents that changed.

    Raises:
        UserError: there is no release, or a document has no block or an unknown one; no document is changed then.
    """
    measured = remeasured(folder)
    before = {path: path.read_text() for path in documents}
    after = {path: rewritten(text, measured) for path, text in before.items()}
    changed = [path for path in documents if before[path] != after[path]]
    for path in changed:
        with replacing(path) as beside:
            beside.write_text(after[path])
    return changed


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.release.readme", description=__doc__)
    parser.add_argument("documents", type=Path, nargs="+", help="Markdown files with blocks to write anew")
    chosen = parser.parse_args(arguments)
    changed = write_blocks(settings().release, chosen.documents)
    print(f"Written anew: {', '.join(map(str, changed))}." if changed else "Every number is as the release has it.")


if __name__ == "__main__":
    sys.exit(main())
