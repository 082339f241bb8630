"""The names of the error catalogue."""

import re

from django.test import Client

from apps.common import errors
from apps.common.config import ErrorLinks, ExternalAddress, config, override_config
from apps.common.errors.catalogue import CATALOGUE, error_link
from apps.common.errors.generate import FOLDER, PAGE, SECTIONS, codes_module, errors_page


def test_generated_names_are_those_of_the_catalogue() -> None:
    assert (FOLDER / "codes.py").read_text(encoding="utf-8") == codes_module()


def test_the_page_is_that_of_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page()


def test_every_explained_code_is_explained_wholly() -> None:
    assert all(bool(row.when) == bool(row.remedy) and not (row.when and row.unused) for row in CATALOGUE.values())


def test_every_code_is_raised_and_explained_or_has_a_reason() -> None:
    """A code without either says nothing to a client that knows it from LUNA PLATFORM."""
    root = PAGE.parent.parent
    source = "".join(
        path.read_text(encoding="utf-8") for part in ("apps", "luna") for path in root.glob(f"{part}/**/*.py")
    )
    named = set(re.findall(r"\berrors\.([A-Z][A-Z0-9_]+)\b", source))
    rows = [row for row in CATALOGUE.values() if row.code]
    assert [row.code for row in rows if not row.when and not row.unused] == []
    assert [row.code for row in rows if row.when and row.name not in named] == []


def test_every_explained_code_is_on_the_page() -> None:
    """`link` of an error leads to the code's row."""
    page = errors_page()
    assert [
        code for code, row in CATALOGUE.items() if (row.when or row.unused) and f'<a id="{code}">' not in page
    ] == []
    firsts = list(SECTIONS.values())
    assert firsts == sorted(firsts)
    assert firsts[0] <= min(CATALOGUE)


def test_names_are_unique_constants() -> None:
    names = [row.name for row in CATALOGUE.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names)
    assert all(getattr(errors, row.name) == row.code for row in CATALOGUE.values())


def test_the_link_leads_to_the_row_of_the_code(client: Client) -> None:
    assert error_link(22002) == f"{config(ExternalAddress).origin}/docs/errors#22002"
    assert 'id="22002"' in client.get("/docs/errors").content.decode()
    with override_config(ErrorLinks, page="https://docs.example.com/errors"):
        assert error_link(22002) == "https://docs.example.com/errors#22002"


def test_the_page_explains_every_code(client: Client) -> None:
    page = client.get("/docs/errors").content.decode()
    rows = dict(re.findall(r'<tr id="(\d+)">(.*?)</tr>', page))
    assert [code for code, row in rows.items() if "<td></td><td></td>" in row] == []
    assert "never returns this code" in rows["22026"]
    assert "<code>Luna-Request-Id</code>" in rows["1"]
    assert "`" not in page
