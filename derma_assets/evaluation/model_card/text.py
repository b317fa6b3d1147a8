"""The card as Markdown, readable by itself; of the figures the captions."""

from collections.abc import Iterator, Mapping

from derma_assets.diagnoses import DISCLAIMER
from derma_assets.evaluation.model_card.blocks import Picture, Section, Table, numbers
from derma_assets.evaluation.model_card.sources import Sources


def as_markdown(heading: str, sections: tuple[Section, ...], sources: Sources) -> str:
    """Return the card as Markdown.

    Args:
        heading: The title.
        sections: In order.
        sources: What is known of the assets.
    """
    of = numbers(sections)
    contents = "\n".join(f"{of[section.key]}. [{section.title}](#{section.key})" for section in sections)
    body = "\n\n".join(line for section in sections for line in _lines(section, 2, sources, of))
    note = "The figures are in `model_card.html` beside this file."
    return f"# {heading}\n\n> **{DISCLAIMER}** {note}\n\n{contents}\n\n{body}\n"


def _lines(section: Section, level: int, sources: Sources, of: Mapping[str, str]) -> Iterator[str]:
    yield f'<a id="{section.key}"></a>\n\n{"#" * level} {of[section.key]} {section.title}'
    for block in section.blocks:
        if isinstance(block, Picture):
            yield f"*Figure: {block.caption}*"
            continue
        if isinstance(block, Table):
            yield f"**{' / '.join(block.captions)}**"
        yield block.markdown
        if isinstance(block, Table) and block.sources:
            yield sources.said_of(block.sources)
    for part in section.parts:
        yield from _lines(part, level + 1, sources, of)
