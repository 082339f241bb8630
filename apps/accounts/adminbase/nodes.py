"""Parts of a form that is made from a serializer or a schema: inputs, groups of them, and lists of groups.

A name is the path of a member in JSON with dots, such as `policies.match_policy.0.limit`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

ADD, REMOVE = "add", "remove"
Options = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of a form. `error`: the problem of this member, empty for none."""

    name: str
    label: str
    help: str = ""
    error: str = ""
    template: ClassVar[str] = ""

    @property
    def id(self) -> str:
        """Return the id of the element in the page."""
        return f"id_{self.name.replace('.', '-')}"

    @property
    def member(self) -> str:
        """Return the name of the member within its object."""
        return self.name.rpartition(".")[2]

    @property
    def path(self) -> str:
        """Return the template of this kind of part."""
        return f"admin/workbench/forms/{self.template}.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Node):
    """One value. `widget`: text, number, choice, choices or lines; `values`: one text, several for choices.

    `default`: a text that names the default, empty for none. `badge`: a note beside the label. `hint`: a note below.
    """

    template: ClassVar[str] = "input"
    widget: str = "text"
    values: Sequence[str] = ()
    options: Options = ()
    placeholder: str = ""
    minimum: str = ""
    maximum: str = ""
    length: int | None = None
    needed: bool = False
    default: str = ""
    badge: str = ""
    hint: str = ""

    @property
    def value(self) -> str:
        return "\n".join(self.values) if self.widget == "lines" else next(iter(self.values), "")

    @property
    def rows(self) -> int:
        """Return the height of a text area."""
        return min(8, max(2, len(self.values) + 1))

    @property
    def is_set(self) -> bool:
        return any(self.values)

    @property
    def has_error(self) -> bool:
        return bool(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Node):
    """Members of an object. `given`: the object is given without members, which can differ from a missing one."""

    template: ClassVar[str] = "group"
    children: Sequence["Input | Group | Items"] = field(default_factory=tuple)
    given: bool = False

    @property
    def inputs(self) -> Sequence["Input | Group | Items"]:
        return [child for child in self.children if isinstance(child, Input)]

    @property
    def parts(self) -> Sequence["Input | Group | Items"]:
        return [child for child in self.children if not isinstance(child, Input)]

    @property
    def count(self) -> int:
        """Return the number of set values."""
        return sum(child.count if not isinstance(child, Input) else int(child.is_set) for child in self.children)

    @property
    def is_set(self) -> bool:
        return self.count > 0

    @property
    def has_error(self) -> bool:
        return bool(self.error) or any(child.has_error for child in self.children)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Node):
    """Objects of an array. `given`: the array is given without objects, which can differ from a missing one."""

    template: ClassVar[str] = "items"
    items: Sequence[Group] = ()
    given: bool = False

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def is_set(self) -> bool:
        return bool(self.items)

    @property
    def has_error(self) -> bool:
        return bool(self.error) or any(item.has_error for item in self.items)


def rearrange(data: dict[str, Any], verb: str, path: Sequence[str]) -> None:
    """Add an empty object to the array at a path of a form, or remove the object at a path."""
    place: Any = data
    for step in path[:-1]:
        if isinstance(place, list):
            place = place[int(step)] if _is_index(step, place) else None
        elif isinstance(place, dict):
            place = place.get(step) if verb == REMOVE else place.setdefault(step, {})
    if verb == ADD and isinstance(place, dict):
        place.setdefault(path[-1], []).append({})
    elif verb == REMOVE and isinstance(place, list) and _is_index(path[-1], place):
        del place[int(path[-1])]


def _is_index(step: str, place: Sequence[Any]) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(place)
