"""The rows of `catalogue.json`, and error bodies made from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypedDict

from apps.common.config import ErrorLinks, config
from apps.common.links import external_url

ERRORS_PATH = "/docs/errors"
PLACEHOLDER = "{value}"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A row of the catalogue.

    `detail` holds a placeholder `{value}` for each value of the exception. `when` and `remedy` describe a code in the
    documentation; `unused` is the reason why the platform never returns a code.
    """

    code: int
    name: str
    status: int
    desc: str
    detail: str
    when: str = ""
    remedy: str = ""
    unused: str = ""

    def format_detail(self, values: tuple[object, ...]) -> str:
        """Fill the placeholders in order. Append surplus values; remove surplus placeholders."""
        return filled(self.detail, tuple(map(str, values)))


def filled(template: str, values: Sequence[str]) -> str:
    """Fill the placeholders of a template in order. Append surplus values; remove surplus placeholders."""
    first, *parts = template.split(PLACEHOLDER)
    texts = (f"{value}{part}" for value, part in zip_longest(values[: len(parts)], parts, fillvalue=""))
    return ": ".join(("".join((first, *texts)), *values[len(parts) :]))


def _load() -> Mapping[int, ErrorCode]:
    rows = json.loads((Path(__file__).parent / "catalogue.json").read_text(encoding="utf-8"))
    return MappingProxyType({row["code"]: ErrorCode(**row) for row in rows})


CATALOGUE: Mapping[int, ErrorCode] = _load()


def error_link(code: int) -> str:
    """Return the address of the row of `code` on the page of error codes."""
    page = config(ErrorLinks).page or external_url(ERRORS_PATH)
    return f"{page}#{code}"


class ErrorBodyJson(TypedDict):
    """The body of each response with a status of 400 or above, and the `error` of an image; code 0 is success."""

    error_code: int
    desc: str
    detail: str
    link: Annotated[str, "Address of the explanation of the code."]


def error_body(code: int, detail: str | None = None) -> ErrorBodyJson:
    """Return the four members of an error body or of an image's `error` block. Code 0 means success."""
    entry = CATALOGUE[code]
    return {
        "error_code": code,
        "desc": entry.desc,
        "detail": entry.detail if detail is None else detail,
        "link": error_link(code),
    }
