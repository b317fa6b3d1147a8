"""The two files of a card: complete, self-contained, and with the numbers of the tables."""

import dataclasses
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.diagnoses import DISCLAIMER
from derma_assets.evaluation.figures import confusion_figure
from derma_assets.evaluation.markdown import three
from derma_assets.evaluation.model_card.blocks import Picture, Section, keys, numbers
from derma_assets.evaluation.model_card.card import HTML, MARKDOWN, fingerprint, sections, write_card
from derma_assets.evaluation.model_card.caveats import limits
from derma_assets.evaluation.model_card.data import data
from derma_assets.evaluation.model_card.delivery import delivery
from derma_assets.evaluation.model_card.evidence import Evidence, Studies
from derma_assets.evaluation.model_card.groups import groups
from derma_assets.evaluation.model_card.html import as_html, as_image, webp
from derma_assets.evaluation.model_card.opening import summary
from derma_assets.evaluation.model_card.sources import Sources
from derma_assets.evaluation.model_card.training import selection
from derma_assets_tests.evaluation.model_card import made_up

LARGEST = 850_000


class Page(HTMLParser):
    """A page's elements: name and attributes, in order, and the text of its cells, captions and headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def named(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "model_card"
    write_card(made_up.evidence(), made_up.provenance(), folder)
    return folder


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / HTML).read_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / MARKDOWN).read_text()


def pictures(found: tuple[Section, ...]) -> Iterator[Picture]:
    for section in found:
        yield from (block for block in section.blocks if isinstance(block, Picture))
        yield from pictures(section.parts)


def changed(**changes: Any) -> Evidence:
    return dataclasses.replace(made_up.evidence(), **changes)


def said(section: Section) -> str:
    """Return the text and tables of a section and its parts."""
    own = [block.markdown for block in section.blocks if not isinstance(block, Picture)]
    return "\n".join([*own, *map(said, section.parts)])


def test_the_page_is_one_small_file_that_fetches_nothing(html: str, page: Page) -> None:
    assert len(html.encode()) < LARGEST
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:image/webp;base64,")) for address in addresses)
    assert "@import" not in html
    assert "url(" not in html


def test_every_link_leads_somewhere_and_every_identifier_is_there_once(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    links = {attributes["href"].removeprefix("#") for attributes in page.named("a")}
    assert links <= set(identifiers)
    assert set(keys(made_up.card())) <= links


def test_tables_have_captions_and_headings_and_figures_have_words(html: str, page: Page) -> None:
    tables = len(page.named("table"))
    assert tables > 20
    assert re.findall(r"<caption>Table (\d+)\. ", html) == [str(number) for number in range(1, tables + 1)]
    assert {attributes.get("scope") for attributes in page.named("th")} == {"row", "col"}
    figures = page.named("img")
    assert re.findall(r"<figcaption>Figure (\d+)\. ", html) == [str(number) for number in range(1, len(figures) + 1)]
    assert all(len(attributes["alt"]) > 20 for attributes in figures)
    assert all(int(attributes["width"]) > 0 and int(attributes["height"]) > 0 for attributes in figures)


def test_headings_are_numbered_and_no_level_is_left_out(page: Page, html: str) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ">7 Results on test</h2>" in html
    assert ">7.5 Operating points</h3>" in html


def test_both_files_have_the_same_sections_and_tables(text: str, page: Page) -> None:
    found = made_up.card()
    assert re.findall(r'<a id="([^"]+)"></a>', text) == keys(found)
    assert len(re.findall(r"^\|:?-+", text, re.MULTILINE)) == len(page.named("table"))
    assert len(re.findall(r"^\*Figure: ", text, re.MULTILINE)) == len(page.named("img"))


def test_both_files_say_that_it_is_no_diagnosis(html: str, text: str) -> None:
    assert DISCLAIMER in html
    assert DISCLAIMER in text


def test_every_overall_metric_is_there_with_its_interval(text: str) -> None:
    for row in made_up.evidence().overall_metrics.itertuples():
        line = rf"\|\s+{three(row.value)} \| \({three(row.low)} to {three(row.high)}\)"
        assert re.search(line, text), row.metric


def test_in_short_says_what_is_missed_in_the_tables_numbers() -> None:
    table = pd.DataFrame(
        {
            "metric": made_up.evidence().overall_metrics["metric"],
            "value": 0.75,
            "low": 0.5,
            "high": 0.9,
        }
    )
    text = said(summary(changed(overall_metrics=table)))
    assert "leaves 25 of 100 (10 to 50) pictures of malignant lesions unreferred" in text


def test_tables_and_figures_name_where_they_come_from_and_when(html: str, text: str) -> None:
    command = "DERMA_DATASET=ham10000 make materialize SELECT='trained_model'"
    assert f"From `trained_model` of 2026-01-31 12:30 UTC; `{command}`" in text
    assert command.replace("'", "&#39;") in html or command in html


def test_the_sample_says_on_top_that_it_is_made_up() -> None:
    chosen = dataclasses.replace(made_up.evidence().chosen, dataset="sample", synthetic=True)
    evidence = changed(chosen=chosen, manifest=made_up.manifest("sample"))
    assert said(summary(evidence)).startswith(
        "**Everything below comes from the embedded sample of generated pictures."
    )
    assert "Tschandl" in said(data(made_up.evidence()))
    assert "Tschandl" not in said(data(evidence))
    assert "Made up" in as_html("Card", True, (), Sources({}, "sample"))


def test_what_somebody_wrote_into_a_file_is_shown_as_it_is() -> None:
    looks = pd.DataFrame({"date": ["2026-01-01"], "what": ["<script>a|b</script> *all* [x](y)"]})
    studied = selection(dataclasses.replace(made_up.evidence(), studies=Studies(test_looks=looks)))
    html = as_html("Card", False, (studied,), Sources({}, "ham10000"))
    assert "<td>&lt;script&gt;a|b&lt;/script&gt; *all* [x](y)</td>" in html
    assert "<script" not in html


def test_the_same_data_have_the_same_fingerprint_whenever_it_was_made() -> None:
    history = made_up.evidence().training_history.assign(seconds=120.0)
    later = changed(latency_benchmark=made_up.latency(median_ms=99.0), training_history=history)
    assert fingerprint(sections(later, made_up.provenance(made_up.AT + timedelta(days=1)))) == fingerprint(
        made_up.card()
    )
    table = made_up.evidence().overall_metrics
    other = changed(overall_metrics=table.assign(value=table["value"] - 0.1))
    assert fingerprint((summary(other),)) != fingerprint((summary(made_up.evidence()),))


def test_a_store_without_a_browser_has_no_times(text: str) -> None:
    assert "| warm " in text
    assert "Not measured" in said(delivery(changed(latency_benchmark=made_up.latency().iloc[:0])))


def test_groups_that_could_not_be_compared_are_counted() -> None:
    gaps = made_up.evidence().subgroup_gaps.iloc[:3].assign(groups=[2, 3, 1], low=[0.1, -0.1, np.nan])
    text = said(groups(changed(subgroup_gaps=gaps)))
    assert "2 of 3 gaps could be measured; for the other 1 nothing can be said" in text
    assert "The intervals of 1 do not reach 0" in text


@pytest.mark.parametrize(("low", "reliable"), [(-0.01, False), (0.01, True)])
def test_heat_is_trusted_only_if_it_beats_the_centre(low: float, reliable: bool) -> None:
    table = made_up.evidence().explanations.copy()
    table.loc[table["metric"] == "heat_over_centre", ["value", "low", "high"]] = 0.02, low, 0.05
    assert ("do not rely on them" not in said(limits(changed(explanations=table)))) == reliable


def test_sections_are_numbered_by_their_place() -> None:
    tree = (Section("a", "A", parts=(Section("b", "B"), Section("c", "C"))), Section("d", "D"))
    assert numbers(tree) == {"a": "1", "b": "1.1", "c": "1.2", "d": "2"}
    assert keys(tree) == ["a", "b", "c", "d"]


def test_a_figure_is_the_same_bytes_each_time() -> None:
    first, again = (as_image(confusion_figure(made_up.evidence().confusion_matrix)) for _ in range(2))
    assert webp(first) == webp(again)
    with Image.open(io.BytesIO(webp(first))) as stored:
        np.testing.assert_array_equal(np.asarray(stored), np.asarray(first))
    width, height = first.size
    assert width > height > 450


def test_no_picture_is_a_photograph() -> None:
    found = list(pictures(made_up.card()))
    assert len(found) > 10
    # Drawn cells are single-channel; a photograph would have three.
    images = [image for one in found for axes in one.drawing.axes for image in axes.get_images()]
    assert all(np.ndim(image.get_array()) == 2 for image in images)
