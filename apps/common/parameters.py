"""Names of query parameters: list spellings of HTTP libraries, and unknown names."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from django.http import QueryDict

HEADER = "Luna-Unknown-Parameters"
LIST_NAME = re.compile(r"(?P<name>[^\[\]]+)\[(?P<index>[0-9]{0,4})\]")
MAX_NAMES = 10  # bounds the search for similar names
MAX_NAME_CHARACTERS = 64
FREE_NAMES = "meta."  # prefix of parameters whose rest is chosen by the client


def plain_names(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters with `name[]` (axios) and `name[0]`, `name[1]` (PHP) as values of `name`, in their order.

    A repeated parameter keeps all its values.
    """
    if not isinstance(parameters, QueryDict) or not any(map(LIST_NAME.fullmatch, parameters)):
        return parameters
    plain = QueryDict(mutable=True)
    indexed: dict[str, list[tuple[int, str]]] = {}
    for name, values in parameters.lists():
        found = LIST_NAME.fullmatch(name)
        if found is None:
            plain.setlist(name, values)
        else:
            indexed.setdefault(found["name"], []).extend((int(found["index"] or 0), value) for value in values)
    for name, pairs in indexed.items():
        values = [value for _, value in sorted(pairs, key=lambda pair: pair[0])]
        plain.setlist(name, [*plain.getlist(name), *values])
    return plain


def unknown_names(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the unknown names, each with the most similar known one: `sourse (sources)`.

    At most `MAX_NAMES` are returned, percent-encoded for use in a header and in an error detail.
    """
    free = any(name == FREE_NAMES.removesuffix(".") for name in known)
    unknown: list[str] = []
    for name in names:
        found = LIST_NAME.fullmatch(name)
        if (found["name"] if found else name) in known or (free and name.startswith(FREE_NAMES)):
            continue
        if len(unknown) == MAX_NAMES:
            break
        shown = name[:MAX_NAME_CHARACTERS]
        nearest = get_close_matches(shown, known, n=1)
        unknown.append(quote(shown, safe="[]") + (f" ({nearest[0]})" if nearest else ""))
    return unknown
