"""The names of the error catalogue."""

import re

from apps.common import errors
from apps.common.errors.catalogue import CATALOGUE
from apps.common.errors.generate import FOLDER, codes_module


def test_generated_names_are_those_of_the_catalogue():
    assert (FOLDER / "codes.py").read_text(encoding="utf-8") == codes_module()


def test_names_are_unique_constants():
    names = [row.name for row in CATALOGUE.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names)
    assert all(getattr(errors, row.name) == row.code for row in CATALOGUE.values())
