"""The table of token permissions: the rights on each kind of object.

Request checks, the validation of token bodies and `docs/permissions.md` derive from it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

CREATION, VIEW, MODIFICATION, DELETION, MATCHING = "creation", "view", "modification", "deletion", "matching"
_EDIT = (CREATION, VIEW, MODIFICATION, DELETION)

OBJECT_RIGHTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "account": (VIEW,),
        "face": (*_EDIT, MATCHING),
        "list": _EDIT,
        "event": (CREATION, VIEW, MATCHING),
        "attribute": (*_EDIT, MATCHING),
        "handler": _EDIT,
        "verifier": _EDIT,
        "task": _EDIT,
        "lambda": _EDIT,
        "custom": _EDIT,
        "face_sample": (CREATION, VIEW, DELETION),
        "body_sample": (CREATION, VIEW, DELETION),
        "object": (CREATION, VIEW, DELETION),
        "image": (CREATION, VIEW, DELETION),
        "token": (VIEW, MODIFICATION, DELETION),
    }
)
RESOURCES = ("iso", "sdk", "liveness")
MAX_LISTED_HANDLERS = 100

# The value in `permissions` of views that generate events, instead of a kind and a right.
EMIT_EVENTS = ("emit_events", "allowed")


def all_permissions() -> dict[str, Any]:
    """Return all rights of the table, as `grant_all_permissions=1` grants them."""
    return {
        **{kind: list(rights) for kind, rights in OBJECT_RIGHTS.items()},
        "resources": list(RESOURCES),
        "emit_events": {"allowed": 1, "white_list": [], "black_list": []},
    }


def emits_events(permissions: Mapping[str, Any]) -> bool:
    return bool(permissions.get("emit_events", {}).get("allowed", 0))


def handler_is_listed_out(permissions: Mapping[str, Any], handler_id: object) -> bool:
    """Return whether the lists of `emit_events` exclude a handler. An empty list excludes none."""
    emit: Mapping[str, Iterable[str]] = permissions.get("emit_events", {})
    white, black = set(emit.get("white_list", ())), set(emit.get("black_list", ()))
    return str(handler_id) in black or (bool(white) and str(handler_id) not in white)


def is_within(permissions: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Return whether `permissions` grant nothing beyond `own`, so that a token cannot extend its rights."""
    for kind in (*OBJECT_RIGHTS, "resources"):
        if not set(permissions.get(kind, ())) <= set(own.get(kind, ())):
            return False
    if not emits_events(permissions):
        return True
    new_emit, own_emit = permissions["emit_events"], own.get("emit_events", {})
    white, own_white = set(new_emit.get("white_list", ())), set(own_emit.get("white_list", ()))
    black, own_black = set(new_emit.get("black_list", ())), set(own_emit.get("black_list", ()))
    return emits_events(own) and own_black <= black and (not own_white or (bool(white) and white <= own_white))
