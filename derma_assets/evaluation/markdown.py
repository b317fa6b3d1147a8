"""Numbers with their intervals as text, and tables of text as Markdown."""

import pandas as pd


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def numbers(row: pd.Series) -> tuple[str, str]:
    """Return `value` and the interval from `low` to `high` of a row, as text of three decimals."""
    return three(row["value"]), f"({three(row['low'])} to {three(row['high'])})"


def three(number: float) -> str:
    """Return a number with three decimals, and NaN as n/a."""
    return "n/a" if pd.isna(number) else f"{number:.3f}"


def markdown(table: pd.DataFrame, right: tuple[str, ...] = ()) -> str:
    """Return a table of text as Markdown; the columns `right` are set to the right."""
    align = ["right" if column in right else "left" for column in table.columns]
    # Numbers are text by now: tabulate would strip the zeros that line them up.
    return table.to_markdown(index=False, colalign=align, disable_numparse=True)
