"""Going back to the bundle that was served before: `python -m derma_assets.promotion.rollback`, or `make rollback`."""

import sys

from derma_assets.errors import UserError
from derma_assets.promotion.served import roll_back
from derma_assets.settings import settings
from derma_assets.storage.paths import promoted_path


def main() -> int:
    """Run the command and return its exit status."""
    try:
        chosen = settings()
        back = roll_back(promoted_path(chosen.root, chosen.dataset))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Served from now on: number {back.number}, promoted {back.document['date']} ({back.bundle}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
