"""What the documentation says was measured, as text made from a release and the study that is kept beside the code."""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from derma_assets.evaluation.markdown import markdown, numbers
from derma_assets.evaluation.published import MODEL_SIZE, PUBLISHED, on_calibration
from derma_assets.evaluation.report import LABELS, SECTIONS, overall_markdown, per_class_markdown
from derma_assets.release.in_words import TOLD_OF, in_words
from derma_assets.study.differences import differences, differences_markdown
from derma_assets.study.rows import COMMITTED
from derma_assets.study.trials import TRIALS

WIDTH = 120
_COUNTS = {2: "two", 4: "four", 8: "eight"}
# Of the overall metrics and, where they have it, of the averaged views: the rows of the short table.
_SHORT = (
    "accuracy",
    "balanced_accuracy",
    "top_3_accuracy",
    "macro_f1",
    "ece_after",
    "melanoma_roc_auc",
    "melanoma_sensitivity_at_95_specificity_on_test_roc",
    "melanoma_sensitivity",
    "melanoma_specificity",
    "referral_sensitivity",
    "referral_specificity",
)


@dataclass(frozen=True)
class Measured:
    """What a release measured on test.

    Attributes:
        release: Its manifest.
        tables: Those that follow from the logits (`release.recompute`) and those in `evaluation.report.SECTIONS`, as
            far as they were released.
        views: How many views the app averages at most.
        model_bytes: Of the converted model in the bundle.
        ece_by_chance: As `calibration.summary.ece_by_chance` returns it.
    """

    release: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    views: int
    model_bytes: int
    ece_by_chance: pd.Series


def blocks(measured: Measured) -> dict[str, Callable[[], str]]:
    """Return what makes the text of each block that a document may hold, by its name.

    `measured` is the paragraph and short table of README.md, `in_words` its sentences, `aims` what was aimed at,
    `trials` what was tried for it (of the study that is kept beside the code); the others are the whole tables of
    these names.
    """
    tables = measured.tables
    overall, per_class = tables["overall_metrics"], tables["per_class_metrics"]
    told = {"in_words": lambda: in_words(tables, measured.release["test"]["clinic_prevalence"])}
    return {
        **(told if tables.keys() >= TOLD_OF else {}),
        "measured": lambda: f"{_paragraph(measured)}\n\n{_short_table(measured)}",
        "overall_metrics": lambda: f"{_tested_on(per_class)}\n\n{overall_markdown(overall)}",
        "per_class_metrics": lambda: per_class_markdown(per_class),
        "aims": lambda: _aims(measured),
        "trials": lambda: _trials(pd.read_csv(COMMITTED)),
        **{name: partial(as_text, tables[name]) for name, (_, as_text) in SECTIONS.items() if name in tables},
    }


def _paragraph(measured: Measured) -> str:
    release = measured.release
    pictures, lesions = _support(measured.tables["per_class_metrics"])
    text = (
        f"{pictures:,} test pictures of {lesions:,} lesions, none of them in training or validation, "
        f"{release['model']['image_size']} px, recipe `{release['training']['recipe']}`; in brackets 95 % intervals by "
        f"{release['test']['bootstrap_resamples']:,} resamples of lesions."
    )
    if measured.views > 1:
        gain = _cell(_of_views(measured), "accuracy_gain")
        text += (
            " One view is what the slowest phone gets; where there is time, the app averages "
            f"{_COUNTS.get(measured.views, measured.views)} flips and turns, which changes accuracy by {gain}."
        )
    return _filled(text)


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _short_table(measured: Measured) -> str:
    overall = measured.tables["overall_metrics"].set_index("metric")
    heads = ["on test", "one view"]
    if measured.views > 1:
        heads.append(f"mean of {_COUNTS.get(measured.views, measured.views)} views")
    rows = [heads, ["---"] * len(heads)]
    for metric in _SHORT:
        cells = [LABELS[metric], _cell(overall, metric)]
        if measured.views > 1:
            cells.append(_cell(_of_views(measured), metric))
        rows.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _aims(measured: Measured) -> str:
    rows = []
    for one in PUBLISHED:
        if one.metric == MODEL_SIZE:
            value = measured.model_bytes / 1e6
            said, outcome = f"{value:.1f}", one.outcome(value)
        else:
            row = one.measured(measured.tables)
            said, outcome = " ".join(numbers(row)), one.outcome(*row[["value", "low", "high"]])
        rows.append((one.name, f"{one.aimed:g}", said, outcome))
    table = markdown(pd.DataFrame(rows, columns=["figure", "aimed at", "released, on test", "reached"]))
    return f"{table}\n\n{_filled(on_calibration(measured.ece_by_chance))}"


def _trials(rows: pd.DataFrame) -> str:
    missing = [f"{trial.name} ({trial.idea})" for trial in TRIALS.values() if trial.name not in set(rows["trial"])]
    text = differences_markdown(differences(rows))
    return f"{text}\n\nDefined, and not run yet: {', '.join(missing)}." if missing else text


def _of_views(measured: Measured) -> pd.DataFrame:
    views = measured.tables["view_metrics"]
    return views[views["count"] == measured.views].set_index("metric")


def _cell(table: pd.DataFrame, metric: str) -> str:
    rows = table[table.index == metric]
    return " ".join(numbers(rows.iloc[0])) if len(rows) else ""


def _support(per_class: pd.DataFrame) -> tuple[int, int]:
    of_class = per_class.drop_duplicates("dx")
    return int(of_class["images"].sum()), int(of_class["lesions"].sum())


def _tested_on(per_class: pd.DataFrame) -> str:
    pictures, lesions = _support(per_class)
    return f"{pictures} pictures of {lesions} lesions. In brackets 95 % intervals, by resampling lesions."
