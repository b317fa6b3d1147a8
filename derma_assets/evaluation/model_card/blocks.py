"""What a model card is made of, before it is HTML or Markdown."""

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Text:
    """Paragraphs and lists.

    Attributes:
        markdown: Links to a section are `[words](#key)`.
        varies: Whether it differs between two runs on the same data, as a date or a time does.
    """

    markdown: str
    varies: bool = False


@dataclass(frozen=True)
class Table:
    """One table or several that belong together.

    Attributes:
        markdown: Tables, and paragraphs between them.
        captions: One for each table in it.
        sources: The assets it was made from.
        varies: As of `Text`.
    """

    markdown: str
    captions: tuple[str, ...]
    sources: tuple[str, ...] = ()
    varies: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        drawing: The figure.
        caption: Stands below it.
        alt: What is to be seen, for whoever does not see it.
        sources: The assets it was made from.
    """

    drawing: Figure
    caption: str
    alt: str
    sources: tuple[str, ...] = ()


Block = Text | Table | Picture


@dataclass(frozen=True)
class Section:
    """A part of the card.

    Attributes:
        key: Its anchor, one of a kind.
        title: Its heading.
        blocks: What is in it.
        parts: The sections below it, which have none themselves.
    """

    key: str
    title: str
    blocks: tuple[Block, ...] = ()
    parts: tuple["Section", ...] = ()


def numbers(sections: tuple[Section, ...], above: str = "") -> dict[str, str]:
    """Return the number of every section and part by its key, such as `7` and `7.2`."""
    found: dict[str, str] = {}
    for place, section in enumerate(sections, start=1):
        found[section.key] = f"{above}{place}"
        found |= numbers(section.parts, f"{above}{place}.")
    return found


def keys(sections: tuple[Section, ...]) -> list[str]:
    """Return the anchors of all sections and their parts, in order."""
    return [key for section in sections for key in (section.key, *keys(section.parts))]
