"""English sentences of errors in the language of a page.

Errors pass through validators, the database and other processes as English texts, and clients get them in English.
Only pages translate them: a text is compared with the templates of the catalogue of translations, and the values are
filled into the translated template.
"""

from collections.abc import Iterator
from functools import cache

from django.utils.translation import get_language, pgettext
from django.utils.translation.trans_real import catalog

from apps.common.errors import CATALOGUE, LunaError
from apps.common.errors.catalogue import PLACEHOLDER as VALUE
from apps.common.errors.catalogue import filled

CONTEXT = "error"  # of the sentences in the catalogue of translations
LEVELS = 4  # of sentences within values of sentences; texts of clients may look like any number of them
_SEPARATOR = "\x04"  # of context and text in compiled catalogues


def refusal_text(error: LunaError) -> str:
    """Return the detail of an error in the language of the page."""
    return detail_text(error.code, error.detail)


def detail_text(code: int, detail: str) -> str:
    """Return a detail, which may have been stored, in the language of the page."""
    template = CATALOGUE[code].detail if code in CATALOGUE else ""
    for each in (template, f"{template}: {VALUE}"):
        if VALUE in each and (values := values_of(each, detail)) is not None:
            return _filled(template, values)
    return sentence(detail)


def desc_text(code: int, desc: str) -> str:
    """Return the short text of an error code in the language of the page."""
    return pgettext(CONTEXT, desc) if code in CATALOGUE else desc


def sentence(text: str, levels: int = LEVELS) -> str:
    """Return a sentence in the language of the page; a text without a translation as it is.

    `levels`: how many sentences within one another are translated.
    """
    if not text or not levels:  # the translation of an empty text is the head of the catalogue
        return text
    if (found := pgettext(CONTEXT, text)) != text:
        return found
    for template in _templates(get_language() or ""):
        if (values := values_of(template, text)) is not None:
            return _filled(template, values, levels - 1)
    return f"{sentence(text[:-1], levels - 1)}." if text.endswith(".") else text


def values_of(template: str, text: str) -> list[str] | None:
    """Return the values of the placeholders of `template` in `text`, None if the text does not match.

    Each value ends where the next part of the template begins first, so that a hostile text takes linear time.
    """
    first, *parts, last = template.split(VALUE)
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return None
    rest, found = text[len(first) : len(text) - len(last)], []
    for part in parts:
        value, separator, rest = rest.partition(part)
        if not separator:
            return None
        found.append(value)
    return [*found, rest]


def _filled(template: str, values: list[str], levels: int = LEVELS) -> str:
    return filled(pgettext(CONTEXT, template), [sentence(value, levels) for value in values])


@cache
def _templates(language: str) -> tuple[str, ...]:
    """Return the templates that a language translates, those with the longest literal text first."""
    return tuple(sorted(set(_with_values()), key=lambda template: -len(template.replace(VALUE, ""))))


def _with_values() -> Iterator[str]:
    known = getattr(catalog(), "_catalog", None)  # as Django's `JavaScriptCatalog` reads it
    for key in known.keys() if known else ():
        context, separator, template = str(key).partition(_SEPARATOR)
        if separator and context == CONTEXT and VALUE in template:
            yield template
