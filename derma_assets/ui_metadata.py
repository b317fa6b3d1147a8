"""Metadata that a person looks at in the Dagster UI: previews of tables, figures, and where files are."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from derma_assets.diagnoses import DISCLAIMER
from derma_assets.settings import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_preview(table: pd.DataFrame, rows: int = 10, decimals: int = 3) -> dg.MetadataValue:
    """Return the first `rows` rows as a Markdown table."""
    return dg.MetadataValue.md(table.head(rows).round(decimals).to_markdown(index=False, disable_numparse=False))


def figure(drawing: "Figure", photographs: bool = False) -> dg.MetadataValue:
    """Return a Matplotlib figure as an embedded picture that the UI shows in place: PNG, or JPEG of photographs."""
    buffer, kind = io.BytesIO(), "jpeg" if photographs else "png"
    drawing.savefig(buffer, format=kind, dpi=80, bbox_inches="tight")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![figure](data:image/{kind};base64,{encoded})")


class Later(dg.MetadataValue[Any]):
    """Metadata that takes long to make, of an asset that looks whenever it is asked for whether something has changed.

    Made only where the asset or what it is made of has changed: `reusing` takes what its last run said otherwise.
    """

    def __init__(self, make: Callable[[], dg.MetadataValue[Any]]) -> None:
        """Keep what makes it."""
        self.make = make

    @property
    def value(self) -> Any:
        """What it is a wrapper of, made now."""
        return self.make().value


def note() -> dg.MetadataValue:
    """Return the note that every table and figure carries; on the embedded sample it says that nothing is real."""
    synthetic = " Built from the embedded synthetic sample: the figures say nothing about real skin."
    return dg.MetadataValue.text(DISCLAIMER + (synthetic if settings().is_synthetic else ""))
