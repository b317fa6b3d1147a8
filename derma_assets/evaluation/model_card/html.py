"""The card as one HTML file: nothing is fetched, figures are inside the file."""

import base64
import io
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from derma_assets.diagnoses import DISCLAIMER
from derma_assets.evaluation.model_card.blocks import Block, Picture, Section, Table, numbers
from derma_assets.evaluation.model_card.sources import Sources

_HERE = Path(__file__).parent
_STYLE, _TEMPLATE = "card.css", "card.html.jinja"
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
# Pixels of a figure for each pixel of the page: 144 dots per inch on paper.
_SHARPNESS = 1.5


def as_html(heading: str, synthetic: bool, sections: tuple[Section, ...], sources: Sources) -> str:
    """Return the card as an HTML document.

    Args:
        heading: The title.
        synthetic: Whether everything is made up, which the page then says on top.
        sections: In order.
        sources: What is known of the assets.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    show = _Renderer(sources)
    return environment.get_template(_TEMPLATE).render(
        heading=heading,
        disclaimer=DISCLAIMER,
        synthetic=synthetic,
        sections=sections,
        number=numbers(sections),
        style=Markup((_HERE / _STYLE).read_text(encoding="utf-8")),
        show=show,
    )


class _Renderer:
    """Turns blocks into HTML and numbers tables and figures as it goes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._tables, self._figures = count(1), count(1)

    def __call__(self, block: Block) -> Markup:
        if isinstance(block, Picture):
            return self._figure(block)
        if isinstance(block, Table):
            captions = iter(block.captions)
            html = rendered(block.markdown, lambda: f"Table {next(self._tables)}. {next(captions)}")
            return html + self._source(block.sources)
        return rendered(block.markdown)

    def _figure(self, block: Picture) -> Markup:
        caption = f"Figure {next(self._figures)}. {block.caption}"
        image = as_image(block.drawing)
        width, height = (round(side / _SHARPNESS) for side in image.size)
        encoded = base64.b64encode(webp(image)).decode()
        picture = Markup('<img src="data:image/webp;base64,{}" width="{}" height="{}" alt="{}">').format(
            encoded, width, height, block.alt
        )
        scroll = Markup('<div class="scroll" role="region" tabindex="0" aria-label="{}">{}</div>').format(
            caption, picture
        )
        text = Markup("<figcaption>{} {}</figcaption>").format(caption, self._source(block.sources))
        return Markup("<figure>{}{}</figure>\n").format(scroll, text)

    def _source(self, names: tuple[str, ...]) -> Markup:
        said = self._sources.said_of(names)
        return (
            Markup('<span class="source">{}</span>\n').format(Markup(_MARKDOWN.renderInline(said)))
            if said
            else Markup("")
        )


def rendered(markdown: str, caption: Callable[[], str] | None = None) -> Markup:
    """Return Markdown as HTML; of each table the first column and the first row are headings.

    Args:
        markdown: HTML in it is shown, not taken for HTML.
        caption: Gives the caption of the next table.
    """
    tokens = list(_semantic(_MARKDOWN.parse(markdown), caption))
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _semantic(tokens: list[Token], caption: Callable[[], str] | None) -> Iterator[Token]:
    before, heading = "", False
    for token in tokens:
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "number")
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type == "td_open" and before == "tr_open":
            token.tag, heading = "th", True
            token.attrSet("scope", "row")
        elif token.type == "td_close" and heading:
            token.tag, heading = "th", False
        before = token.type
        if token.type == "table_open":
            text = escape(caption() if caption else "")
            yield _html(f'<div class="scroll" role="region" tabindex="0" aria-label="{text}">')
            yield token
            yield _html(f"<caption>{text}</caption>")
            continue
        yield token
        if token.type == "table_close":
            yield _html("</div>\n")


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def as_image(drawing: Figure) -> Image.Image:
    """Return a figure as pixels, `_SHARPNESS` of them for each of the page's along a side."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=96 * _SHARPNESS, bbox_inches="tight")
    return Image.open(buffer).convert("RGB")


def webp(image: Image.Image) -> bytes:
    """Return an image as lossless WebP: of a figure with many marks a third of what it takes as SVG."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()
