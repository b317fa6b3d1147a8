"""Two reporting checklists, item by item: where the card answers it, or why it does not.

The items are in `claim_2024.csv` (Tejani et al., Radiology: Artificial Intelligence 6(4), e240300, 2024) and
`tripod_ai.csv` (Collins et al., BMJ 385, e078378, 2024), in short words of our own: who reports by an instrument reads
the instrument.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from derma_assets.evaluation.model_card.blocks import Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import table_of

ANSWERED, PARTLY, NOT_APPLICABLE, NOT_DONE = STATUSES = ("answered", "partly", "not applicable", "not done")
# What an item may need that not every store has.
NEEDS = ("", "external", "cross_validation")
COLUMNS = ("item", "topic", "wording", "status", "sections", "note", "needs")


@dataclass(frozen=True)
class Instrument:
    """A checklist.

    Attributes:
        key: Of its section.
        name: Its name.
        source: Where it was published.
        file: Its items.
    """

    key: str
    name: str
    source: str
    file: Path


INSTRUMENTS = (
    Instrument(
        "claim",
        "CLAIM 2024",
        "Tejani et al., Radiology: Artificial Intelligence 6(4), e240300, 2024; 44 items",
        Path(__file__).with_name("claim_2024.csv"),
    ),
    Instrument(
        "tripod",
        "TRIPOD+AI",
        "Collins et al., BMJ 385, e078378, 2024; 27 items, some of several parts",
        Path(__file__).with_name("tripod_ai.csv"),
    ),
)


def read_items(instrument: Instrument) -> pd.DataFrame:
    """Return the items of a checklist: `COLUMNS`, all text, "" where there is nothing."""
    return pd.read_csv(instrument.file, dtype=str, keep_default_na=False)


def checklists(evidence: Evidence, titles: Mapping[str, str]) -> Section:
    """Return the section with both checklists.

    Args:
        evidence: Decides which of what an item needs is there.
        titles: What each section that an item may point to is called, by its key.
    """
    there = {
        name
        for name, given in (
            ("external", bool(evidence.studies.external)),
            ("cross_validation", evidence.studies.cross_validation is not None),
        )
        if given
    }
    text = (
        "What two guidelines for reporting ask for, in short words of our own, and where this card answers it. The "
        "card is made by program from one run, so what only people can say (funding, registration, approval) stays "
        "open."
    )
    parts = tuple(_checklist(instrument, there, titles) for instrument in INSTRUMENTS)
    return Section("checklists", "Checklists", (Text(text),), parts)


def _checklist(instrument: Instrument, there: Collection[str], titles: Mapping[str, str]) -> Section:
    items = read_items(instrument)
    rows = []
    for item in items.to_dict("records"):
        status = NOT_DONE if item["needs"] and item["needs"] not in there else item["status"]
        links = ", ".join(f"[{titles[key]}](#{key})" for key in item["sections"].split())
        note = item["note"] if status != ANSWERED else ""
        rows.append(
            {
                "item": item["item"],
                "topic": item["topic"],
                "what is asked": item["wording"],
                "answer": status,
                "where, or why not": "; ".join(filter(None, (links, note))),
            }
        )
    counts = pd.Series([row["answer"] for row in rows]).value_counts()
    counted = ", ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)
    table = Table(table_of(rows), (f"{instrument.name}, item by item.",))
    return Section(instrument.key, instrument.name, (Text(f"{instrument.source}. {counted}."), table))
