"""English sentences of errors in the language of a page: by template, with their values."""

from typing import Any

import pytest
from django.utils.translation import override
from rest_framework import serializers

from apps.common import errors
from apps.common.errors import CATALOGUE, LunaError
from apps.common.errors.catalogue import PLACEHOLDER as VALUE
from apps.common.refusals import LEVELS, desc_text, detail_text, refusal_text, sentence, values_of


@pytest.mark.parametrize(
    ("code", "values", "text"),
    [
        (errors.FACE_NOT_FOUND, ("a1",), "Gesicht mit der ID „a1“ nicht gefunden"),
        (errors.NO_DATA, (), "Die Anfrage enthält keine Daten"),
        # A value beyond the placeholders, and a placeholder without a value.
        (
            errors.ACCESS_DENIED,
            ("the last administrator cannot be deleted",),
            "Der Zugriff auf diese Ressource ist nicht erlaubt: der letzte Administrator kann nicht gelöscht werden",
        ),
        (errors.LICENSE_CLIENT_FAILED, (), "Die Lizenz konnte nicht geladen werden: ."),
        # A value that is a sentence, with a path and a value of its own.
        (
            errors.INVALID_JSON,
            ("at most 7 bytes are allowed. Path: 'value'",),
            "Das JSON ist nicht gültig: höchstens 7 Bytes sind erlaubt. Path: 'value'",
        ),
        # A detail that is its value.
        (errors.BAD_VALUE, ("more than 3 segments",), "mehr als 3 Segmente"),
    ],
)
def test_refusals_are_translated_by_their_template(code: int, values: tuple[object, ...], text: str) -> None:
    error = LunaError(code, *values)
    with override("de"):
        assert refusal_text(error) == text
        assert detail_text(code, error.detail) == text, "as it was stored"
        assert error.body()["detail"] == error.detail != text, "clients get English"
    assert refusal_text(error) == error.detail


def test_texts_of_clients_and_of_other_software_stay_as_they_are() -> None:
    with override("de"):
        for text in ("Erika {value} Mustermann", "List", "", "Connection refused", "\0", "x" * 10_000):
            assert sentence(text) == text
        assert detail_text(987654, "of another release") == "of another release"
        name = 'Face with id "x" not found'
        assert refusal_text(LunaError(errors.LOGIN_EXISTS, "{value} of {value}")) == (
            "Ein Konto mit dem Login „{value} of {value}“ existiert bereits"
        )
        assert name not in refusal_text(LunaError(errors.LIST_NOT_FOUND, name)), "a sentence within a value"


@pytest.mark.parametrize("text", ["." * 10_000, 'List with id "' * 5_000 + '" not found' * 5_000])
def test_texts_that_look_like_many_sentences_end(text: str) -> None:
    with override("de"):
        assert sentence(text).count('List with id "') >= text.count('List with id "') - LEVELS


def test_settings_name_accepted_values_in_the_language() -> None:
    text = "LUNA_PAGING > max_page_size must be a whole number from 1 to 1000, got 'x'."
    with override("de"):
        assert sentence(text) == "LUNA_PAGING > max_page_size muss eine ganze Zahl von 1 bis 1000 sein, nicht 'x'."


@pytest.mark.parametrize("row", [row for row in CATALOGUE.values() if not row.unused], ids=lambda row: row.name)
def test_each_error_has_a_german_text_that_keeps_its_values(row: errors.ErrorCode) -> None:
    values = [f"<{number}>" for number in range(row.detail.count(VALUE))]
    error = LunaError(row.code, *values)
    with override("de"):
        shown, kind = refusal_text(error), desc_text(row.code, row.desc)
    if any(each.isalpha() for each in row.detail.replace(VALUE, "")):
        assert shown != error.detail
    assert [shown.index(value) for value in values] == sorted(shown.index(value) for value in values)
    assert kind != row.desc


def test_values_are_found_in_linear_time() -> None:
    """A hostile text that nearly matches: a regular expression would need a year for it."""
    assert values_of("{value} a {value} a {value} a {value} b", " a " * 30_000) is None
    assert values_of("from {value} to {value}", "from 1 to 2 to 3") == ["1", "2 to 3"]
    assert values_of("from {value} to {value}", "from to") is None


def test_messages_of_validators_have_the_language_of_each_request() -> None:
    """REST framework kept the first one: after a German page, the API answered in German."""
    field = serializers.CharField(max_length=2)
    texts = []
    for language in ("de", "en", "de"):
        with override(language), pytest.raises(serializers.ValidationError) as raised:
            field.run_validation("abc")
        detail: Any = raised.value.detail
        texts.append(str(detail[0]))
    german = "Höchstens 2 Zeichen sind erlaubt."
    assert texts == [german, "Ensure this field has no more than 2 characters.", german]
