"""The page's texts: complete and really translated in every language."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from derma_assets.browser.web_build import SOURCES, run_node
from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.refusals import GOOD
from derma_assets.evaluation.subgroups import ATTRIBUTES, SUBGROUP_METRICS
from derma_assets.evaluation.tables import PER_CLASS_METRICS, overall_table
from derma_assets.evaluation.unsuitable_pictures import KINDS

LANGUAGES = ("en", "ru", "kk")
# What Intl.PluralRules tells apart for whole numbers, and `other` for the rest.
PLURALS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}, "kk": {"one", "other"}}
PLURAL_FORMS = set.union(*PLURALS.values())
# Words that are the same in every language.
SHARED = {("about", "metrics", "f1"), *(("diagnoses", code, "description", "source") for code in CODES)}
# And those that two languages of the region share.
SHARED_IN_CYRILLIC = SHARED | {
    ("result", "ruleNames", "melanoma"),
    ("diagnoses", "mel", "name"),
    ("diagnoses", "df", "name"),
}
KAZAKH_LETTERS = set("әғқңөұүһі")

Key = tuple[str, ...]


@pytest.fixture(scope="module")
def texts() -> dict[str, Any]:
    imports = "".join(f'import {{ {code} }} from "./{code}.ts";' for code in LANGUAGES)
    script = f"{imports} console.log(JSON.stringify({{ {', '.join(LANGUAGES)} }}));"
    printed = run_node(SOURCES / "src" / "i18n", "--no-warnings", "--input-type=module", "-e", script)
    return json.loads(printed)


def leaves(node: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    """Yield every sentence with its key; the forms of a plural have one key, since languages differ in them."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, list):
        for index, part in enumerate(node):
            yield from leaves(part, (*key, str(index)))
    elif is_plural(node):
        # `other` comes last, so that it is what stays in a dictionary.
        for _, sentence in sorted(node.items(), key=lambda form: form[0] == "other"):
            yield (*key, "plural"), sentence
    else:
        for name, part in node.items():
            yield from leaves(part, (*key, name))


def is_plural(node: Any) -> bool:
    return isinstance(node, dict) and "other" in node and set(node) <= PLURAL_FORMS


def plurals(node: Any, key: Key = ()) -> Iterator[tuple[Key, set[str]]]:
    if is_plural(node):
        yield key, set(node)
    elif isinstance(node, dict):
        for name, part in node.items():
            yield from plurals(part, (*key, name))


def placeholders(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_every_key_is_there_in_every_language(texts: dict[str, Any], language: str) -> None:
    assert {key for key, _ in leaves(texts[language])} == {key for key, _ in leaves(texts["en"])}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_the_same_values_put_in(texts: dict[str, Any], language: str) -> None:
    """Each form of a plural is compared with English's for any number; only English says `one` without a number."""
    english = {key: placeholders(sentence) for key, sentence in leaves(texts["en"])}
    wrong = {
        key: sentence
        for key, sentence in leaves(texts[language])
        if placeholders(sentence) != english[key]
        and not (language == "en" and placeholders(sentence) == english[key] - {"count"})
    }

    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_plurals_have_the_forms_of_their_language(texts: dict[str, Any], language: str) -> None:
    found = dict(plurals(texts[language]))

    assert len(found) >= 5
    assert {key: forms for key, forms in found.items() if forms != PLURALS[language]} == {}


def test_nothing_is_left_untranslated(texts: dict[str, Any]) -> None:
    sentences = {language: dict(leaves(texts[language])) for language in LANGUAGES}
    same = [
        key
        for key, sentence in sentences["en"].items()
        if key not in SHARED and sentence in (sentences["ru"][key], sentences["kk"][key])
    ]
    same_in_cyrillic = [
        key
        for key, sentence in sentences["ru"].items()
        if key not in SHARED_IN_CYRILLIC and sentence == sentences["kk"][key]
    ]

    assert same == []
    assert same_in_cyrillic == []


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_translations_are_written_in_cyrillic(texts: dict[str, Any], language: str) -> None:
    latin = [
        key
        for key, sentence in leaves(texts[language])
        if key not in SHARED and not re.search("[а-яәғқңөұүһі]", sentence.lower())
    ]

    assert latin == []


def test_kazakh_is_kazakh(texts: dict[str, Any]) -> None:
    sentences = [sentence for _, sentence in leaves(texts["kk"])]
    with_own_letters = sum(bool(KAZAKH_LETTERS & set(sentence.lower())) for sentence in sentences)

    assert with_own_letters / len(sentences) > 0.7


def test_every_kind_of_refused_picture_has_a_name(texts: dict[str, Any]) -> None:
    assert set(texts["en"]["about"]["kinds"]) == {GOOD, *KINDS}


def test_every_subgroup_and_its_figures_have_a_name(texts: dict[str, Any]) -> None:
    about = texts["en"]["about"]
    in_words = {group for groups in ATTRIBUTES.values() for group in groups if not group[0].isdigit()}

    assert set(about["attributes"]) == set(ATTRIBUTES)
    assert set(about["groups"]) == in_words
    assert set(SUBGROUP_METRICS) <= set(about["metrics"])


def test_every_diagnosis_and_every_figure_has_a_name(texts: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(70) % len(CODES)
    side = LabelledLogits(rng.normal(size=(70, len(CODES))), labels, np.arange(70))
    points = {"referral": {"threshold": 0.5}, "melanoma": {"threshold": 0.5}}
    figures = set(overall_table(side, 1.0, points, resamples=10, seed=0)["metric"]) | set(PER_CLASS_METRICS)

    assert set(texts["en"]["diagnoses"]) == set(CODES)
    assert figures <= set(texts["en"]["about"]["metrics"])
