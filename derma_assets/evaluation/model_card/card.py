"""The model card as a whole: its sections, and the two files."""

from pathlib import Path

from derma_assets.evaluation.model_card.blocks import Picture, Section, Table, Text, numbers
from derma_assets.evaluation.model_card.caveats import ethics, limits
from derma_assets.evaluation.model_card.checklist import checklists
from derma_assets.evaluation.model_card.comparison import comparison
from derma_assets.evaluation.model_card.data import data
from derma_assets.evaluation.model_card.delivery import delivery
from derma_assets.evaluation.model_card.evidence import Evidence, Provenance
from derma_assets.evaluation.model_card.groups import explanations, external, groups
from derma_assets.evaluation.model_card.html import as_html
from derma_assets.evaluation.model_card.opening import identity, intended_use, summary, versions
from derma_assets.evaluation.model_card.results import results
from derma_assets.evaluation.model_card.signature import signature
from derma_assets.evaluation.model_card.sources import Sources
from derma_assets.evaluation.model_card.text import as_markdown
from derma_assets.evaluation.model_card.training import model, selection
from derma_assets.storage.fingerprint import fingerprint_json

HTML, MARKDOWN = "model_card.html", "model_card.md"


def sections(evidence: Evidence, provenance: Provenance) -> tuple[Section, ...]:
    """Return the sections in the order in which they are read."""
    before = (
        summary(evidence),
        identity(evidence, provenance),
        intended_use(evidence),
        data(evidence),
        model(evidence),
        selection(evidence),
        results(evidence),
        groups(evidence),
        explanations(evidence),
        external(evidence),
        delivery(evidence),
        comparison(evidence),
        limits(evidence),
        ethics(evidence),
    )
    of = numbers(before)
    every = [one for section in before for one in (section, *section.parts)]
    titles = {one.key: f"{of[one.key]} {one.title}" for one in every}
    return (*before, checklists(evidence, titles), versions(provenance), signature(evidence))


def title(evidence: Evidence) -> str:
    """Return the heading of the card."""
    made_up = " (made-up sample)" if evidence.chosen.synthetic else ""
    return f"Model card: deep learning for the triage of skin lesions{made_up}"


def write_card(evidence: Evidence, provenance: Provenance, folder: Path) -> tuple[Section, ...]:
    """Write both files into `folder`, made if it is not there, and return the sections."""
    found = sections(evidence, provenance)
    sources = Sources(provenance.made, evidence.chosen.dataset)
    folder.mkdir(parents=True, exist_ok=True)
    heading = title(evidence)
    (folder / HTML).write_text(as_html(heading, evidence.chosen.synthetic, found, sources), encoding="utf-8")
    (folder / MARKDOWN).write_text(as_markdown(heading, found, sources), encoding="utf-8")
    return found


def in_short(found: tuple[Section, ...]) -> str:
    """Return the text of the first section as Markdown."""
    return "\n\n".join(block.markdown for block in found[0].blocks if isinstance(block, Text))


def fingerprint(found: tuple[Section, ...]) -> str:
    """Return the fingerprint of what a card says, without dates and times: the same data, the same fingerprint."""
    return fingerprint_json([_content(section) for section in found])


def _content(section: Section) -> list[object]:
    said: list[object] = [section.key, section.title]
    for block in section.blocks:
        if isinstance(block, Picture):
            said.append(block.caption)
        elif isinstance(block, Text | Table) and not block.varies:
            said.append(block.markdown)
    return [*said, *(_content(part) for part in section.parts)]
