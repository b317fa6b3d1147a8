"""`python -m derma_assets.training.memory_report`: how much memory the whole graph holds, written down.

Writes `training_memory.md`. How long a training is does not change what it holds: DERMA_EPOCHS=1 is enough.
"""

import argparse
import datetime
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from derma_assets.errors import told_to_the_user
from derma_assets.evaluation.markdown import markdown
from derma_assets.machine import machine, vector_units
from derma_assets.settings import Settings, settings
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.benchmark_memory import PREDICT_STAGE, STEPS, TRAIN_STAGE, WHOLE_GRAPH, Peak, peaks
from derma_assets.training.benchmark_report import versions
from derma_assets.training.train import BackboneChoice

AIM_GIB = 6
_WHAT = {
    WHOLE_GRAPH: "every asset, one run (`dagster asset materialize --select '*'`)",
    TRAIN_STAGE: f"{STEPS} training steps, then all of validation",
    PREDICT_STAGE: "prediction of validation and test",
}
# Of the settings that change what is held, those that the page does not show otherwise.
_SETTINGS = ("DERMA_BACKBONE", "DERMA_EPOCHS", "DERMA_DATASET")


def memory_table(found: Mapping[str, Peak]) -> str:
    """Return the peaks in GiB as a Markdown table."""
    rows = [
        {
            "what": _WHAT[stage],
            "largest process": f"{peak.largest_process / 2**30:.2f}",
            "all processes together": f"{peak.together / 2**30:.2f}",
            "seconds": f"{peak.seconds:,.0f}",
        }
        for stage, peak in found.items()
    ]
    table = pd.DataFrame(rows)
    return markdown(table, right=tuple(table.columns[1:]))


def memory_markdown(found: Mapping[str, Peak], chosen: Settings, command: str, date: str) -> str:
    """Return the page.

    Args:
        found: As `peaks` returns them.
        chosen: What was materialized, and how.
        command: How it was measured.
        date: When.
    """
    whole = found[WHOLE_GRAPH]
    largest, together = whole.largest_process / 2**30, whole.together / 2**30
    verdict = "within" if together <= AIM_GIB else "above"
    backbone = BackboneChoice.of(chosen)
    model = (
        f"{BACKBONES[backbone.architecture].name}, {chosen.image_size} px, last {backbone.trainable_layers} layers, "
        f"recipe {chosen.recipe}, precision {chosen.precision}"
    )
    aim = f" Aimed at for HAM10000 are {AIM_GIB} GiB: {verdict} the aim." if not chosen.is_synthetic else ""
    return f"""\
# How much memory a run holds

The whole graph on `{chosen.dataset}` holds {together:.1f} GiB, all processes together; the largest of them
{largest:.1f}.{aim}

| | |
| --- | --- |
| Command | `{command}` |
| Date | {date} |
| Model | {model} |
| Machine | {machine()} |
| Vector units | {vector_units()} |
| Versions | {versions()} |

Highest memory in GiB, looked at five times a second; the rows are runs one after the other, in one store that is
removed afterwards. Of a process: what is resident, with the part of the files that it has mapped. Together: of what
several processes share, as a library or a browser's pages, each is counted for its share. Browsers that the run starts
are among them.

{memory_table(found)}
"""


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.training.memory_report", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder to write to, default docs")
    asked = parser.parse_args(arguments)
    chosen = settings()
    given = [f"{name}={os.environ[name]}" for name in _SETTINGS if os.environ.get(name)]
    found = peaks(chosen)
    page = memory_markdown(found, chosen, " ".join([*given, "make bench-memory"]), datetime.date.today().isoformat())
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "training_memory.md").write_text(page)
    print(page)
    print(f"Written: {asked.output / 'training_memory.md'}")


if __name__ == "__main__":
    sys.exit(main())
