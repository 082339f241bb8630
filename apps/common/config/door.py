"""Access to settings: `config(Group)` merges environment over stored values over defaults."""

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError

from apps.common.config.environment import environment_values, variables_set
from apps.common.config.errors import SettingsError
from apps.common.config.groups import GROUPS, Group, Scope, Section, Settings
from apps.common.config.sentences import problems

S = TypeVar("S", bound=Settings)
Stored = Callable[[str], Mapping[str, Any]]
Changed = frozenset[type[Settings]]

after_refresh: list[Callable[[Changed], None]] = []
"""Functions that make changed groups take effect where reading them is not enough, such as in the engine."""

_current: dict[type[Settings], Any] = {}  # per process; a dict's reads and writes are atomic
_installation: dict[type[Settings], Mapping[str, Any]] = {}


def _nothing(name: str) -> Mapping[str, Any]:
    return {}


_stored: Stored = _nothing


def config(group: type[S]) -> S:
    """Return the settings of a group. Call it for every use: a kept object misses later changes.

    Raises SettingsError for an invalid value in the environment or the store.
    """
    try:
        return _current[group]  # type: ignore[no-any-return]
    except KeyError:
        _current[group] = loaded = _load(GROUPS[group])
        return loaded  # type: ignore[return-value]


def installation_defaults(group: type[Settings], **values: Any) -> None:
    """Set defaults that depend on the installation, such as the directory of its files."""
    _installation[group] = values
    _current.pop(group, None)


def use_stored(stored: Stored) -> None:
    """Register the source of stored values: `stored(group name)` returns nested JSON without secrets.

    Loaded groups keep their values until `refresh`.
    """
    global _stored
    _stored = stored


def stored_source() -> Stored:
    """Return the registered source of stored values."""
    return _stored


def waiting_groups() -> frozenset[str]:
    """Return the names of groups of scope `start` whose stored values differ from those in use.

    Raises SettingsError for an invalid value.
    """
    kept = [model for model in _current if GROUPS[model].stored and GROUPS[model].scope is Scope.START]
    return frozenset(GROUPS[model].name for model in kept if _load(GROUPS[model]) != _current[model])


def refresh() -> Changed:
    """Reload stored values and return the groups that have changed.

    Groups of scope `start` keep their values. The caller creates a new engine when a group of scope `engine` changed.
    Raises SettingsError for an invalid value; then no group changes.
    """
    loaded = [model for model in _current if GROUPS[model].scope is not Scope.START]
    fresh = {model: _load(GROUPS[model]) for model in loaded}
    changed = frozenset(model for model, values in fresh.items() if values != _current[model])
    _current.update(fresh)
    return changed


@contextmanager
def override_config(group: type[Settings], **values: Any) -> Iterator[None]:
    """Replace values of a group in a test, as context manager or decorator. Sections may be partial."""
    before = config(group)
    _current[group] = group.model_validate(_merged(group, dict(before), values))
    try:
        yield
    finally:
        _current[group] = before


def discover(packages: Iterable[str]) -> None:
    """Import the module `config` of each package that has one; the import registers its groups."""
    for package in packages:
        if importlib.util.find_spec(f"{package}.config") is not None:
            importlib.import_module(f"{package}.config")


def check_all() -> None:
    """Load all groups. Raises SettingsError with one sentence per invalid value."""
    wrong = []
    for model in GROUPS:
        try:
            config(model)
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError(" ".join(wrong))


def loaded(group: Group, stored: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Return a group with these stored values and this environment. Raises SettingsError."""
    names = {variable.path: name for variable, name in variables_set(group, environment)}
    _refuse_secrets(group, stored)
    if stored and not group.stored:
        raise SettingsError(f"{group.name} must not be stored: the environment sets it, before the database is read.")
    values = _installation.get(group.model, {})
    for above in (stored, environment_values(group, environment)):
        values = _merged(group.model, values, above)
    try:
        return group.model.model_validate(values)
    except ValidationError as error:
        found = problems(group, error, names)
        raise SettingsError(" ".join(found.values()), found) from None


def _load(group: Group) -> Settings:
    return loaded(group, _stored(group.name), os.environ)


def _refuse_secrets(group: Group, stored: Mapping[str, Any]) -> None:
    for variable in group.variables:
        place: Any = stored
        for key in variable.path:
            place = place.get(key) if isinstance(place, Mapping) else None
        if variable.secret and place is not None:
            where = " > ".join((group.name, *variable.path))
            raise SettingsError(f"{where} is a secret and must not be stored: set {variable.names[0]} instead.")


def _merged(model: type[Settings], below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `above` over `below`; the values of a section are merged individually."""
    merged = dict(below)
    for key, value in above.items():
        kind = model.model_fields[key].annotation if key in model.model_fields else None
        if key in merged and isinstance(value, Mapping) and isinstance(kind, type) and issubclass(kind, Section):
            merged[key] = _merged(kind, dict(merged[key]), value)
        else:
            merged[key] = value
    return merged
