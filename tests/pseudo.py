"""A language whose translations are the English texts in brackets, which shows what a page does not translate."""

import re
from collections.abc import Iterator, Mapping
from gettext import NullTranslations
from html.parser import HTMLParser

import pytest
from django.utils.translation import trans_real

MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
SPOKEN = {"alt", "aria-label", "placeholder", "title", "data-label"}  # attributes with texts
SILENT = {"script", "style", "code", "pre", "textarea", "svg"}  # elements without texts of the platform
ICONS = "material-symbols-outlined"  # the text of such an element is the name of an icon
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Pseudo(NullTranslations):
    """Translations as Django asks for them; `asked` has the texts, with their context or plural."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str | tuple[str, str]] = set()

    def to_language(self) -> str:
        return "de"

    def gettext(self, message: str) -> str:
        self.asked.add(message)
        return f"⟦{message.rpartition(trans_real.CONTEXT_SEPARATOR)[2]}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        self.asked.add((msgid1, msgid2))
        return f"⟦{(msgid1 if n == 1 else msgid2).rpartition(trans_real.CONTEXT_SEPARATOR)[2]}⟧"


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> Pseudo:
    """Let pages for a German browser speak the language of brackets."""
    language = Pseudo()
    monkeypatch.setitem(trans_real._translations, "de", language)  # type: ignore[attr-defined]  # not in the stubs
    return language


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.silent: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [text for name, text in given.items() if text and _is_spoken(tag, name, text, given)]
        quiet = tag in SILENT or ICONS in (given.get("class") or "")
        if tag not in VOID and (self.silent or quiet):
            self.silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.silent and tag == self.silent[-1]:
            self.silent.pop()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found.append(data)


def _is_spoken(tag: str, name: str, text: str, given: Mapping[str, str | None]) -> bool:
    """Return whether an attribute has a text for people. Scripts read theirs from `data-…`, which then has a space."""
    if name == "value":
        return tag == "input" and given.get("type") in ("submit", "button")
    return name in SPOKEN or (name.startswith("data-") and " " in text and not text.startswith("{"))


def unmarked(page: str) -> Iterator[str]:
    """Yield the lines that a page shows outside of brackets, and that have words."""
    parser = _Texts()
    parser.feed(page)
    rest = "\n".join(parser.found)
    while MARKED.search(rest):
        rest = MARKED.sub("\n", rest)
    for line in rest.splitlines():
        if re.search(r"[A-Za-z]{2}", line):
            yield " ".join(line.split())
