"""The German catalogue: complete, current, and with the placeholders of the English texts."""

import re
from typing import Any

import pytest
from babel.messages.catalog import Catalog

from tools.translations import MO, catalogue, compiled, forms, texts

PLACEHOLDER = re.compile(r"%\([a-z_]+\)[.\d]*[sdf]|%[sd]|\{[a-z]*\}|<[^>]+>|`[^`]+`")


@pytest.fixture(scope="module")
def german() -> Catalog:
    return catalogue()


def ids(catalog: Catalog) -> set[Any]:
    return {(each.id, each.context) for each in catalog if each.id}


def test_every_text_of_the_code_is_in_the_catalogue_and_no_other(german: Catalog) -> None:
    """`python -m tools.translations` finds nothing new."""
    assert ids(texts()) ^ ids(german) == set()


def test_every_text_is_translated(german: Catalog) -> None:
    assert [each.id for each in german if each.id and not all(forms(each.string))] == []
    assert [each.id for each in german if each.fuzzy and each.id] == []


def test_translations_have_the_placeholders_of_their_texts(german: Catalog) -> None:
    wrong = []
    for each in german:
        for english, translated in zip(forms(each.id), forms(each.string), strict=True) if each.id else ():
            if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(translated)):
                wrong.append((english, translated))
            if len(english) - len(english.strip()) != len(translated) - len(translated.strip()):
                wrong.append((english, translated))
    assert wrong == []


def test_the_compiled_file_is_current(german: Catalog) -> None:
    assert MO.read_bytes() == compiled(german), "python -m tools.translations"
