"""`python -m derma_assets.training.benchmark_report`: training beside the paper's way, written down.

Writes `training_speed.md` and `training_speed.csv`.
"""

import argparse
import datetime
import importlib.metadata
import platform
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

from derma_assets.dataset.source import locate_dataset
from derma_assets.errors import told_to_the_user
from derma_assets.machine import machine, vector_units
from derma_assets.settings import Settings, settings
from derma_assets.training.benchmark import (
    ALL_LAYERS,
    KEPT_VARIANTS,
    OURS_KEPT,
    PAPER_BATCH,
    PAPER_SIZE,
    PAPERS_WAYS,
    SETTING,
    in_turn,
    input_rates,
    ratios,
    trained_parameters,
    training_rates,
    training_settings,
)
from derma_assets.training.benchmark_pictures import BenchmarkPictures, benchmark_pictures
from derma_assets.training.recipe import PAPER, RECIPES

TRAINING, INPUT = "training", "input"
COLUMNS = ["part", *SETTING, "trained_parameters", "contender", "repetition", "pictures_per_s"]
AIMS = "training 2 times as fast, input 10 times"

_PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "scipy", "pillow")
_PICTURES, _REPETITIONS, _EPOCHS, _SECONDS = 640, 5, 2, 3.0


@dataclass(frozen=True)
class Circumstances:
    """What a reader must know to measure the same.

    Attributes:
        command: How it was run.
        date: When.
        machine: On what.
        units: The vector and matrix units of its CPU.
        busy: How busy the machine was with other work before the run.
        versions: Of the packages that decide the speed.
        model: What was trained, on what, in words.
    """

    command: str
    date: str
    machine: str
    units: str
    busy: str
    versions: str
    model: str


def measure_speed(
    chosen: Settings, pictures: BenchmarkPictures, folder: Path, repetitions: int, epochs: int, seconds: float
) -> pd.DataFrame:
    """Measure training in every setting, and input at the project's size and the paper's.

    Args:
        chosen: Says which model, size, layers and batch.
        pictures: The pictures of an epoch.
        folder: Scratch space for the decoded pictures.
        repetitions: How often each contender is measured.
        epochs: Epochs that are timed in each, after one to warm up.
        seconds: How long input is drawn in each.

    Returns:
        The columns `COLUMNS`, one row per measurement.
    """
    batch_size = RECIPES[chosen.recipe].batch_size
    pixels = {size: pictures.decode(size, folder) for size in sorted({chosen.image_size, PAPER_SIZE})}
    parts = []
    for size, batch in dict.fromkeys([(chosen.image_size, batch_size), (PAPER_SIZE, PAPER_BATCH)]):
        contenders = input_rates(pictures, pixels[size], batch, seconds)
        runs = in_turn(contenders, repetitions, f"input, {size} px, batches of {batch}")
        parts.append(runs.assign(part=INPUT, size=size, trainable_layers=0, batch_size=batch, trained_parameters=0))
    # The paper's network is MobileNet; whatever its weights, it takes as long.
    of_mobilenet = chosen.backbone == "mobilenet"
    layers = chosen.trainable_layers if of_mobilenet and chosen.trainable_layers is not None else ALL_LAYERS
    weights = chosen.initial_weights if of_mobilenet else "random"
    settings_ = training_settings(chosen.image_size, layers, batch_size, chosen.alpha, weights)
    for setting in settings_:
        parameters = trained_parameters(setting.model())
        contenders = training_rates(pictures, pixels[setting.size], setting, epochs)
        what = f"last {setting.trainable_layers} layers, {setting.size} px, batches of {setting.batch_size}"
        runs = in_turn(contenders, repetitions, what)
        described = {name: getattr(setting, name) for name in SETTING}
        parts.append(runs.assign(part=TRAINING, trained_parameters=parameters, **described))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def speed_table(runs: pd.DataFrame, part: str) -> str:
    """Return the rates of `TRAINING` or `INPUT`, and how many times the paper's way ours is, as a Markdown table.

    Args:
        runs: The columns `COLUMNS`.
        part: Which part.
    """
    rows = []
    for _, setting in runs[runs["part"] == part].groupby(SETTING, sort=False):
        medians = setting.groupby("contender", sort=False)["pictures_per_s"].median()
        first = setting.iloc[0]
        for name, median in medians.items():
            row = {"px": f"{first['size']}", "batch": f"{first['batch_size']}"}
            if part == TRAINING:
                row["last layers"] = f"{first['trainable_layers']}"
                row["parameters"] = f"{first['trained_parameters']:,}"
            row |= {"way": str(name), "pictures/s": f"{median:,.0f}"}
            times = ratios(setting, str(name)).set_index("contender")
            for ours in (one for one in medians.index if one not in PAPERS_WAYS):
                row[f"{ours}: times"] = _spread(times.loc[ours]) if name in PAPERS_WAYS else ""
            rows.append(row)
    return _markdown(rows, text=("way",))


def _spread(row: pd.Series) -> str:
    return f"{row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"


def _markdown(rows: list[dict[str, str]], text: Sequence[str]) -> str:
    table = pd.DataFrame(rows).fillna("")
    align = ["left" if column in text else "right" for column in table.columns]
    return table.to_markdown(index=False, colalign=align, disable_numparse=True)


def report_markdown(runs: pd.DataFrame, circumstances: Circumstances) -> str:
    """Return all that was measured as Markdown, with what is needed to read it.

    Args:
        runs: The columns `COLUMNS`.
        circumstances: How it was measured.
    """
    repetitions = int(runs["repetition"].max())
    return f"""\
# How fast and how lean training is

The paper's way is Keras's `ImageDataGenerator` with the augmentation of the recipe `paper`, and `model.fit`, in
float32: from the JPEG files, decoded anew in every epoch, or from pictures that all lie decoded in memory. Ours is
`training/fit.py`, which reads 8-bit pixels from files.
Aimed at: {AIMS}.

| | |
| --- | --- |
| Command | `{circumstances.command}` |
| Date | {circumstances.date} |
| Machine | {circumstances.machine} |
| Vector units | {circumstances.units} |
| Busy before | {circumstances.busy} |
| Versions | {circumstances.versions} |
| Model | {circumstances.model} |

Each way was measured {repetitions} times, in turn. Rates are medians; how many times as fast ours is, is the median of
the ratios within a turn, in brackets the lowest and the highest.

## Training

Same model, same initial weights, same layers trained, same batch, Adam, class weights. The first epoch of each
measurement, in which TensorFlow compiles, is not counted, nor is decoding the arrays once for ours. Ours does more
in an epoch: it computes a macro-F1, and judges a few validation pictures. The first setting is the paper's.

`{OURS_KEPT}` is the recipe's option `kept_variants`: {KEPT_VARIANTS} augmented variants of each picture take turns, and
what the frozen layers make of each is computed once. Its rate is that of a whole training of {PAPER.epochs} epochs,
that computation included. Where all layers learn there is nothing to keep.

{speed_table(runs, TRAINING)}

## Input alone

Augmented batches, with no model behind them. `ImageDataGenerator` works on one core, as `model.fit` runs it; ours on
all that are free.

{speed_table(runs, INPUT)}
"""


def versions() -> str:
    """Return the versions of Python and of the packages that decide how fast and lean training is."""
    packages = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *packages])


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.training.benchmark_report", description=__doc__)
    parser.add_argument("--pictures", type=int, default=_PICTURES, help=f"of an epoch, default {_PICTURES}")
    parser.add_argument("--repetitions", type=int, default=_REPETITIONS, help=f"default {_REPETITIONS}")
    parser.add_argument("--epochs", type=int, default=_EPOCHS, help=f"timed in each repetition, default {_EPOCHS}")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help=f"of drawing input, default {_SECONDS:g}")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder to write to, default docs")
    asked = parser.parse_args(arguments)
    chosen = settings()
    busy = f"{psutil.cpu_percent(interval=2):.0f} % of all cores, with other work"
    pictures = benchmark_pictures(locate_dataset(chosen), asked.pictures)
    with tempfile.TemporaryDirectory() as folder:
        runs = measure_speed(chosen, pictures, Path(folder), asked.repetitions, asked.epochs, asked.seconds)
    given = [
        f"--{name} {value:g}"
        for name, value in vars(asked).items()
        if name != "output" and value != parser.get_default(name)
    ]
    options = f" OPTIONS={shlex.quote(' '.join(given))}" if given else ""
    circumstances = Circumstances(
        command=f"DERMA_DATASET={shlex.quote(chosen.dataset)} make bench{options}",
        date=datetime.date.today().isoformat(),
        machine=machine(),
        units=vector_units(),
        busy=busy,
        versions=versions(),
        model=f"MobileNet, width {chosen.alpha:g}; epochs of {asked.pictures} pictures of {chosen.dataset}",
    )
    asked.output.mkdir(parents=True, exist_ok=True)
    report = report_markdown(runs, circumstances)
    (asked.output / "training_speed.md").write_text(report)
    runs.to_csv(asked.output / "training_speed.csv", index=False, float_format="%.2f")
    print(report)
    print(f"Written: {asked.output / 'training_speed.md'} and {asked.output / 'training_speed.csv'}")


if __name__ == "__main__":
    sys.exit(main())
