"""Every item of both instruments once, and every pointer to a section that is there."""

import dataclasses

import pandas as pd
import pytest

from derma_assets.evaluation.model_card.blocks import Section, Table, Text, keys
from derma_assets.evaluation.model_card.checklist import (
    ANSWERED,
    COLUMNS,
    INSTRUMENTS,
    NEEDS,
    STATUSES,
    Instrument,
    checklists,
    read_items,
)
from derma_assets.evaluation.model_card.evidence import Studies
from derma_assets_tests.evaluation.model_card import made_up
from derma_assets_tests.evaluation.model_card.test_studies import EXTERNAL

CLAIM, TRIPOD = INSTRUMENTS
# The parts of TRIPOD+AI's items; an item that is not here has none.
PARTS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}


def test_claim_has_its_44_items_once() -> None:
    assert read_items(CLAIM)["item"].tolist() == [str(number) for number in range(1, 45)]


def test_tripod_has_its_27_items_with_their_parts_once() -> None:
    expected = [f"{number}{part}" for number in range(1, 28) for part in PARTS.get(number, [""])]
    assert read_items(TRIPOD)["item"].tolist() == expected
    assert len(expected) == 52


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.key)
def test_every_item_is_answered_somewhere_or_says_why_not(instrument: Instrument) -> None:
    items = read_items(instrument)
    assert tuple(items.columns) == COLUMNS
    there = set(keys(made_up.card()))
    for item in items.itertuples():
        assert item.status in STATUSES
        assert item.needs in NEEDS
        assert item.topic
        assert item.wording
        assert set(item.sections.split()) <= there, item.item
        if item.status == ANSWERED:
            assert item.sections, item.item
        if item.status != ANSWERED or item.needs:
            assert item.note, item.item


def _claim(studies: Studies) -> Section:
    evidence = dataclasses.replace(made_up.evidence(), studies=studies)
    return checklists(evidence, {key: key for key in keys(made_up.card())}).parts[0]


def _answers(claim: Section) -> dict[str, str]:
    table = claim.blocks[1]
    assert isinstance(table, Table)
    rows = [line.split("|") for line in table.markdown.splitlines()[2:]]
    return {row[1].strip(): row[4].strip() for row in rows}


def test_external_validation_is_not_done_until_it_is() -> None:
    assert _answers(_claim(Studies()))["33"] == "not done"
    assert _answers(_claim(Studies(external={"other": EXTERNAL})))["33"] == "answered"


def test_the_counts_above_the_table_are_the_tables() -> None:
    claim = _claim(Studies())
    said = claim.blocks[0]
    assert isinstance(said, Text)
    for status, count in pd.Series(_answers(claim)).value_counts().items():
        assert f"{count} {status}" in said.markdown
