"""Secrets inside contents of tasks, such as the password of an archive: sealed in rows, masked in responses.

`TaskType.secrets` names their paths.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.secrets import MASK, SEALED, Secret, UnreadableSecretError
from apps.tasks.types.base import TaskType

Holder = tuple[Any, Any]  # an object or array, and the key of its member
EVERY = "*"  # in a path: all members of an object or array


def content_seal(kind: TaskType, content: Any, kept: Any = None) -> Any:
    """Return a client's checked content with sealed secrets. `kept`: the stored content that it replaces.

    A mask keeps the stored secret if the member of `content` that holds it is unchanged otherwise: a client cannot
    send a secret to another address. Raises LunaError INVALID_JSON for other masks, and for values that are no texts.
    """
    sealed = deepcopy(content)
    for path, (holder, key) in _places(kind, sealed):
        if not isinstance(holder[key], str):
            raise LunaError(errors.INVALID_JSON, f"Not a valid string. Path: 'content.{'.'.join(path)}'")
        if holder[key] == MASK:
            holder[key] = _kept(kind, content, kept, path)
        else:
            holder[key] = {SEALED: Secret.seal(holder[key]).token}
    return sealed


def content_open(kind: TaskType, content: Any) -> Any:
    """Return stored content with readable secrets. Raises LunaError CREDENTIALS_DECRYPTION_FAILED."""
    opened = deepcopy(content)
    for _, (holder, key) in _places(kind, opened):
        if isinstance(holder[key], dict):
            try:
                holder[key] = Secret(holder[key][SEALED]).reveal()
            except UnreadableSecretError as error:
                raise LunaError(errors.CREDENTIALS_DECRYPTION_FAILED) from error
    return opened


def content_mask(kind: TaskType | None, content: Any) -> Any:
    """Return stored content with masked secrets, for responses. `kind`: None for a type that is not installed."""
    masked = deepcopy(content)
    if kind is None:
        return _masked_everywhere(masked)
    for _, (holder, key) in _places(kind, masked):
        holder[key] = MASK
    return masked


def _places(kind: TaskType, content: Any) -> Iterator[tuple[tuple[str, ...], Holder]]:
    for path in kind.secrets:
        yield from _below(content, path, ())


def _below(value: Any, path: tuple[str, ...], before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Holder]]:
    """Yield the secrets of a path below `value`, which is at the path `before`. `*` stands for all members."""
    step, *rest = path
    if isinstance(value, list):
        members: dict[Any, Any] = dict(enumerate(value))
    else:
        members = value if isinstance(value, dict) else {}
    for key in [*members] if step == EVERY else [step]:
        if members.get(key) is None:
            continue
        if rest:
            yield from _below(members[key], tuple(rest), (*before, str(key)))
        else:
            yield (*before, str(key)), (value, key)


def _kept(kind: TaskType, content: Any, kept: Any, path: tuple[str, ...]) -> Any:
    member = path[0]
    masked = content_mask(kind, kept or {})
    if len(path) > 1 and masked.get(member) == content_mask(kind, content)[member]:
        return dict(_places_of(kind, kept))[path]
    raise LunaError(
        errors.INVALID_JSON, f"The mask needs a stored secret of the same address. Path: 'content.{'.'.join(path)}'"
    )


def _places_of(kind: TaskType, content: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for path, (holder, key) in _places(kind, content):
        yield path, holder[key]


def _masked_everywhere(value: Any) -> Any:
    if isinstance(value, dict):
        return MASK if set(value) == {SEALED} else {key: _masked_everywhere(each) for key, each in value.items()}
    return [_masked_everywhere(each) for each in value] if isinstance(value, list) else value
