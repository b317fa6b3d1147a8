"""Which model `make external` judges, and its report.

`python -m derma_assets.release.external asset` prints the asset to make, `... report NAME` what it found on a data set.
"""

import argparse
import sys

from derma_assets.errors import UserError, told_to_the_user
from derma_assets.evaluation.external_report import stored_external_report
from derma_assets.release.layout import is_release
from derma_assets.release.unpacked import said_of
from derma_assets.settings import Settings, settings
from derma_assets.storage.published import fetched_path
from derma_assets.ui_metadata import note

STORED, RELEASE = "external_validation", "external_validation_of_release"
_MODELS = {"stored": STORED, "release": RELEASE}


def judged_asset(chosen: Settings, model: str | None = None) -> str:
    """Return the asset that judges the model in question.

    Args:
        chosen: Data set and store.
        model: `stored`, what a run has trained on the chosen data set; `release`; None: stored, if there is one.

    Raises:
        UserError: there is no such model.
    """
    trained = fetched_path(chosen.store, "trained_model", "keras_model").exists()
    if model is None:
        model = "stored" if trained else "release"
    if model not in _MODELS:
        raise UserError(f"MODEL={model} is neither of {' and '.join(_MODELS)}.")
    if model == "release" and not is_release(chosen.release):
        raise UserError(
            f"there is no model to judge: none is stored of {chosen.dataset} (`make materialize`), and there is no "
            f"release in {chosen.release}."
        )
    if model == "stored" and not trained:
        raise UserError(f"no model of {chosen.dataset} is stored: train one (`make materialize`), or MODEL=release.")
    return _MODELS[model]


def said_before(chosen: Settings, asset: str) -> list[str]:
    """Return what the reader of an asset's report is told first, a paragraph each."""
    if asset == RELEASE:
        return [f"The model is {said_of(chosen.release)}"]
    judged = f"The model is the stored one of {chosen.dataset}."
    if chosen.is_synthetic:
        judged = (
            "The model is that of the embedded sample, which has seen generated pictures only; MODEL=release judges "
            "the released one."
        )
    return [judged, str(note().value)]


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.release.external", description=__doc__)
    parser.add_argument("what", choices=["asset", "report"])
    parser.add_argument("name", nargs="?", help="of the data set, for a report")
    parser.add_argument("--model", help="stored or release; left out: stored, if a run has trained one")
    given = parser.parse_args(arguments)
    chosen = settings()
    asset = judged_asset(chosen, given.model or None)
    if given.what == "asset":
        print(asset)
        return
    if not given.name:
        parser.error("say which data set")
    print(stored_external_report(chosen.store, asset, given.name, said_before(chosen, asset)))


if __name__ == "__main__":
    sys.exit(main())
