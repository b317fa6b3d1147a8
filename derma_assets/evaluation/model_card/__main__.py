"""`python -m derma_assets.evaluation.model_card` says where the model card of the last run is."""

import sys

from derma_assets.errors import InputError, UserError
from derma_assets.evaluation.model_card.card import HTML, MARKDOWN
from derma_assets.settings import Settings, settings
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_path


def where(chosen: Settings) -> str:
    """Return where the two files are, for a person.

    Raises:
        InputError: no card has been made yet.
    """
    folder = fetched_path(chosen.store, "model_card", "folder")
    if not (folder / HTML).is_file():
        raise InputError(how_to_store("model_card", folder))
    return f"The model card, to read and print: {folder / HTML}\nThe same as Markdown:             {folder / MARKDOWN}"


def main() -> int:
    """Print where the card is."""
    try:
        print(where(settings()))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
