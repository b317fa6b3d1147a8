"""Going back to the bundle that was served before: `python -m derma_assets.promotion.rollback`, or `make rollback`."""

import sys

from derma_assets.errors import told_to_the_user
from derma_assets.promotion.served import roll_back
from derma_assets.settings import settings


@told_to_the_user
def main() -> None:
    """Run the command."""
    back = roll_back(settings().served)
    print(f"Served from now on: number {back.number}, promoted {back.document['date']} ({back.bundle}).")


if __name__ == "__main__":
    sys.exit(main())
