"""Numbers, intervals and tables as Markdown."""

import pandas as pd


def markdown_table(table: pd.DataFrame, right: tuple[str, ...] = ()) -> str:
    """Return a table of text as Markdown, the columns `right` aligned to the right."""
    align = ["right" if column in right else "left" for column in table.columns]
    # Numbers are text by now: tabulate would strip the zeros that line them up.
    return table.to_markdown(index=False, colalign=align, disable_numparse=True)


def value_and_interval(row: pd.Series) -> tuple[str, str]:
    """Return `value` and, in brackets, `low` to `high` of a row, with three decimals."""
    return three_decimals(row["value"]), f"({three_decimals(row['low'])} to {three_decimals(row['high'])})"


def three_decimals(number: float) -> str:
    """Return a number with three decimals, `n/a` for NaN."""
    return "n/a" if pd.isna(number) else f"{number:.3f}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"
