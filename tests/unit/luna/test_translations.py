"""The catalogues of translations: complete, current, and with the placeholders of the English texts."""

import re
from typing import Any

import pytest
from babel.messages.catalog import Catalog

from tools.translations import LANGUAGES, catalogue, compiled, forms, path_of, texts

PLACEHOLDER = re.compile(r"%\([a-z_]+\)[.\d]*[sdf]|%[sd]|\{[a-z]*\}|<[^>]+>|`[^`]+`")


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def translated(language: str) -> Catalog:
    return catalogue(language)


def ids(catalog: Catalog) -> set[Any]:
    return {(each.id, each.context) for each in catalog if each.id}


def test_every_text_of_the_code_is_in_the_catalogue_and_no_other(translated: Catalog, language: str) -> None:
    """`python -m tools.translations` finds nothing new."""
    assert ids(texts(language)) ^ ids(translated) == set()


def test_every_text_is_translated(translated: Catalog) -> None:
    assert [each.id for each in translated if each.id and not all(forms(each.string))] == []
    assert [each.id for each in translated if each.fuzzy and each.id] == []


def test_translations_have_the_placeholders_of_their_texts(translated: Catalog) -> None:
    wrong = []
    for each in translated:
        for english, other in zip(forms(each.id), forms(each.string), strict=True) if each.id else ():
            if sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(other)):
                wrong.append((english, other))
            if len(english) - len(english.strip()) != len(other) - len(other.strip()):
                wrong.append((english, other))
    assert wrong == []


def test_the_compiled_file_is_current(translated: Catalog, language: str) -> None:
    assert path_of(language, "mo").read_bytes() == compiled(translated), "python -m tools.translations"
