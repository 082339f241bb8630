"""Secrets inside policies: the credentials, the signing secrets and the header values of callbacks.

A handler stores `{"sealed": token}` instead of the text, and responses show a mask. A mask in a request keeps the
stored secret of the same address. A client therefore cannot redirect a secret to another address.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.secrets import MASK, SEALED, Secret

CREDENTIALS = ("login", "password", "token")
CALLBACKS = "policies.storage_policy.callbacks"


@dataclass(frozen=True, slots=True)
class _Place:
    """Position of a secret: `holder[path[-1]]` in callback `index`, the `number`-th callback of its address."""

    address: str
    number: int
    index: int
    path: tuple[str, ...]
    holder: dict[str, Any]

    @property
    def key(self) -> tuple[str, int, tuple[str, ...]]:
        return self.address, self.number, self.path

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
    callbacks_seal(_callbacks(sealed), _callbacks(kept), path=CALLBACKS)
    return sealed


def policies_mask(policies: Any) -> Any:
    """Return stored policies with masked secrets, for responses."""
    masked = deepcopy(policies)
    callbacks_mask(_callbacks(masked))
    return masked


def callbacks_seal(callbacks: Sequence[Any], kept: Sequence[Any] = (), *, path: str) -> None:
    """Seal the secrets of checked callbacks in place. `kept`: those that they replace. `path`: of the errors.

    Raises LunaError INVALID_JSON for a mask without a stored secret of the same address.
    """
    known = {place.key: place.value for place in _places(kept)}
    for place in _places(callbacks):
        value = place.value
        if value == MASK:
            if place.key not in known:
                where = ".".join((path, str(place.index), *place.path))
                raise LunaError(
                    errors.INVALID_JSON, f"The mask needs a stored secret of the same address. Path: '{where}'"
                )
            value = known[place.key]
        place.put(value if isinstance(value, dict) else {SEALED: Secret.seal(str(value)).token})


def callbacks_mask(callbacks: Sequence[Any]) -> None:
    """Mask the secrets of stored callbacks in place."""
    for place in _places(callbacks):
        place.put(MASK)


def _callbacks(policies: Any) -> Sequence[Any]:
    return ((policies or {}).get("storage_policy") or {}).get("callbacks") or ()


def _places(callbacks: Sequence[Any]) -> Iterator[_Place]:
    numbers: Counter[str] = Counter()
    for index, callback in enumerate(callbacks):
        authorization = callback.get("authorization") or {}
        params = callback.get("params") or {}
        headers = params.get("headers") or {}
        address = str(callback.get("url") or params.get("chat_id"))
        numbers[address] += 1
        for name in CREDENTIALS:
            if authorization.get(name) is not None:
                yield _Place(address, numbers[address], index, ("authorization", name), authorization)
        if params.get("secret") is not None:
            yield _Place(address, numbers[address], index, ("params", "secret"), params)
        for name in headers:
            yield _Place(address, numbers[address], index, ("params", "headers", name), headers)
