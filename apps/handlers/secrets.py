"""Secrets inside policies: the credentials, the signing secrets and the header values of callbacks.

A handler stores `{"sealed": token}` instead of the text, and responses show a mask. A mask in a request keeps the
stored secret of the same address. A client therefore cannot redirect a secret to another address.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.secrets import MASK, SEALED, Secret

CREDENTIALS = ("login", "password")


@dataclass(frozen=True, slots=True)
class _Place:
    """Position of a secret: `holder[path[-1]]` in callback `index`, the `number`-th callback of its address."""

    url: str
    number: int
    index: int
    path: tuple[str, ...]
    holder: dict[str, Any]

    @property
    def key(self) -> tuple[str, int, tuple[str, ...]]:
        return self.url, self.number, self.path

    @property
    def value(self) -> Any:
        return self.holder[self.path[-1]]

    def put(self, value: Any) -> None:
        self.holder[self.path[-1]] = value


def policies_seal(policies: Any, kept: Any = None) -> Any:
    """Return the client's checked policies with sealed secrets. `kept`: the policies that they replace.

    Raises LunaError INVALID_JSON for a mask without a stored secret of the same address.
    """
    sealed = deepcopy(policies)
    known = {place.key: place.value for place in _places(kept)}
    for place in _places(sealed):
        value = place.value
        if value == MASK:
            if place.key not in known:
                path = ".".join(("policies.storage_policy.callbacks", str(place.index), *place.path))
                raise LunaError(
                    errors.INVALID_JSON, f"The mask needs a stored secret of the same address. Path: '{path}'"
                )
            value = known[place.key]
        place.put(value if isinstance(value, dict) else {SEALED: Secret.seal(str(value)).token})
    return sealed


def policies_mask(policies: Any) -> Any:
    """Return stored policies with masked secrets, for responses."""
    masked = deepcopy(policies)
    for place in _places(masked):
        place.put(MASK)
    return masked


def _places(policies: Any) -> Iterator[_Place]:
    numbers: Counter[str] = Counter()
    callbacks = ((policies or {}).get("storage_policy") or {}).get("callbacks") or ()
    for index, callback in enumerate(callbacks):
        url = str(callback.get("url"))
        numbers[url] += 1
        authorization = callback.get("authorization") or {}
        params = callback.get("params") or {}
        headers = params.get("headers") or {}
        for name in CREDENTIALS:
            if name in authorization:
                yield _Place(url, numbers[url], index, ("authorization", name), authorization)
        if params.get("secret") is not None:
            yield _Place(url, numbers[url], index, ("params", "secret"), params)
        for name in headers:
            yield _Place(url, numbers[url], index, ("params", "headers", name), headers)
