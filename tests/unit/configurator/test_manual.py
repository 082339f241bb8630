"""The settings of LUNA PLATFORM: each has a setting that exists and is read, or a reason."""

import ast
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

from apps.common.config import GROUPS, Group, Scope
from apps.configurator.manual import SERVICES, parameters
from apps.configurator.page import manual_settings_page

ROOT = Path(settings.BASE_DIR)
# Groups whose fields are read in another way than `config(Group).field`.
READ_OTHERWISE = {
    "LUNA_REMOTE_SDK_ESTIMATORS": "all, by `Switches.all`",
    "FACE_QUALITY_SETTINGS": "by the names in the table of checks",
    "ADDITIONAL_SERVICES_USAGE": "by the names of parts (`common.parts`)",
    "LUNA_PLUGINS": "by the names of kinds of plugins",
    "LUNA_PROCESSES": "by the supervisor, from the environment",
    "LUNA_SERVICE_METRICS": "`metrics_format` has a single value",
    "LUNA_MAP": "by a template",
}


def test_each_parameter_has_a_setting_that_exists_or_a_reason() -> None:
    known = {f"{group.name}.{'.'.join(variable.path)}" for group in GROUPS.values() for variable in group.variables}
    found = list(parameters())
    assert [each for each in found if bool(each.setting) == bool(each.reason)] == []
    assert {each.setting for each in found if each.setting} <= known
    assert len({each.service for each in found}) == len(SERVICES) - 1
    assert len(found) > 900


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == manual_settings_page(), "run `make docs`"


@cache
def reads() -> tuple[set[str], set[str], set[str]]:
    """Return classes in `config(…)` within functions, those outside of functions, and all attributes that are read."""
    inside: set[str] = set()
    outside: set[str] = set()
    attributes: set[str] = set()
    for path in (path for name in ("apps", "luna") for path in (ROOT / name).rglob("*.py")):
        tree = ast.parse(path.read_text())
        within = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                attributes.add(node.attr)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "config":
                [argument] = node.args
                if isinstance(argument, ast.Name):
                    (inside if id(node) in within else outside).add(argument.id)
    return inside, outside, attributes


@pytest.mark.parametrize(
    "group", [group for group in GROUPS.values() if group.scope is not Scope.START], ids=lambda group: group.name
)
def test_live_groups_are_read_at_their_use(group: Group) -> None:
    """A value that a module reads when it is imported would miss changes."""
    inside, outside, _ = reads()
    assert group.model.__name__ in inside
    assert group.model.__name__ not in outside


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_no_setting_is_dead(group: Group) -> None:
    if group.name not in READ_OTHERWISE:
        unread = [variable.path for variable in group.variables if variable.path[-1] not in reads()[2]]
        assert unread == []
