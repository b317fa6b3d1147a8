"""Numbers of the metric tables in a sentence, and tables of cells."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from derma_assets.evaluation.markdown import markdown, numbers

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|"})


def row_of(table: pd.DataFrame, **where: Any) -> pd.Series:
    """Return the one row of a table with these values.

    Raises:
        KeyError: there is no such row, or more than one.
    """
    rows = table
    for column, value in where.items():
        rows = rows[rows[column] == value]
    if len(rows) != 1:
        raise KeyError(f"{len(rows)} rows with {where}")
    return rows.iloc[0]


def cell(table: pd.DataFrame, **where: Any) -> str:
    """Return the value of the one row with these values, and its interval, as text."""
    return " ".join(numbers(row_of(table, **where)))


def in_hundred(row: pd.Series, missed: bool = False) -> str:
    """Return a share as `47 of 100 (36 to 59)`; of those left out if `missed`."""
    if pd.isna(row["value"]):
        return "an unknown number of 100"
    value, low, high = (100 * row[name] for name in ("value", "low", "high"))
    if missed:
        value, low, high = 100 - value, 100 - high, 100 - low
    return f"{value:.0f} of 100 ({low:.0f} to {high:.0f})"


def literal(text: object) -> str:
    """Return text of others so that Markdown shows it as it is, on one line."""
    return " ".join(str(text).split()).translate(_SPECIAL)


def table_of(rows: Sequence[Mapping[str, Any]], right: tuple[str, ...] = ()) -> str:
    """Return rows as a Markdown table, all cells as they are; numbers get separators of thousands."""
    text = [{name: f"{one:,}" if isinstance(one, int) else str(one) for name, one in row.items()} for row in rows]
    return markdown(pd.DataFrame(text), right=right)


def facts(of: Mapping[str, object], what: str = "what", value: str = "value") -> str:
    """Return names and values as a Markdown table of two columns."""
    return table_of([{what: name, value: one} for name, one in of.items()])


def bullets(points: Sequence[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {point}" for point in points)
