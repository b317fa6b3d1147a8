"""Going back to the bundle that was served before: `python -m derma_assets.promotion.rollback`, or `make rollback`."""

import sys

from derma_assets.errors import told_to_the_user
from derma_assets.promotion.served import roll_back
from derma_assets.settings import settings
from derma_assets.storage.paths import promoted_path


@told_to_the_user
def main() -> None:
    """Run the command."""
    chosen = settings()
    back = roll_back(promoted_path(chosen.root, chosen.dataset))
    print(f"Served from now on: number {back.number}, promoted {back.document['date']} ({back.bundle}).")


if __name__ == "__main__":
    sys.exit(main())
