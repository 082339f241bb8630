"""The English sentences of errors and settings, which pages translate: extracted from code, catalogue and schemas.

The values of a sentence are placeholders `{value}`, as in the catalogue of errors.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VALUE = "{value}"
REFUSALS = ("LunaError", "ValidationError", "SettingsError", "DumpError", "Problem", "UndoError", "LicenseError",
            "Standing", "FetchError", "_FailureError")  # fmt: skip
# Rooms whose ValueErrors become refusals. Other ValueErrors are for the log, or for commands.
OF_VALUES = ("config.py", "common/config/", "common/fields.py", "common/times.py", "common/meta.py", "configurator/",
             "licenses/", "sender/signatures.py", "sender/targets/", "tasks/")  # fmt: skip
# Modules whose RuntimeErrors are results of health checks.
OF_HEALTH = ("/health.py", "monitoring/processes.py", "/core.py")
ELSEWHERE = ("/management/", "/migrations/", "/networks/", "/config/page.py")
# Modules whose returned, collected and constant texts are sentences, or parts of them.
SENTENCES = ("apps/common/config/sentences.py", "apps/licenses/selectors.py")
PATH = re.compile(r"\s*Path: '[^']*'$")
WORD = re.compile(r"[A-Za-z]{3,}")
FURTHER = (
    "{value} Path: '{value}'",
    # of dumps and settings
    "limitations[{value}]: {value}", "settings[{value}]: {value}", "groups[{value}]: {value}",
    "{value} must be {value}, got {value}.", "{value} is not a setting: write {value}, or remove it.",
    "{value} is not a setting.", "a list, separated by commas, of {value}", "one of {value}", "a UUID", "a path",
    "text", "a value that is not shown",
    "no answer within {value} seconds",  # of a health check
    # of the JSON parser
    "Expecting value", "Expecting property name enclosed in double quotes", "Expecting ':' delimiter",
    "Expecting ',' delimiter", "Extra data", "Unterminated string starting at", "Invalid control character at",
    "Invalid \\escape", "Invalid \\uXXXX escape", "Illegal trailing comma before end of object",
    "Illegal trailing comma before end of array",
    # of JSON Schema
    "{value} is not of type {value}", "{value} is not one of {value}", "{value} is a required property",
    "{value} was expected", "{value} is less than the minimum of {value}",
    "{value} is greater than the maximum of {value}", "{value} is too short", "{value} is too long",
    "{value} should be non-empty", "{value} is not a multiple of {value}", "{value} does not match {value}",
    "{value} has non-unique elements", "{value} is not valid under any of the given schemas",
    "Additional properties are not allowed ({value} was unexpected)",
    "Additional properties are not allowed ({value} were unexpected)",
    "{value} is less than or equal to the minimum of {value}",
    "{value} is greater than or equal to the maximum of {value}",
)  # fmt: skip


def errors() -> Iterator[str]:
    """Yield the texts of errors that are returned, and the sentences that fill them."""
    from apps.common.errors import CATALOGUE

    for row in CATALOGUE.values():
        if not row.unused:
            yield from (text for text in (row.desc, row.detail) if WORD.search(text.replace(VALUE, "")))
    for folder in ("apps", "luna"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not any(each in name for each in ELSEWHERE):
                yield from _of_module(name, path.read_text("utf-8"))
    yield from FURTHER


def settings() -> Iterator[str]:
    """Yield the descriptions of settings and of their groups, as pages show them."""
    from apps.configurator import platform

    for group in platform.groups().values():
        yield platform.description_of(group)
        yield from _descriptions(platform.schema_of(group))


def _descriptions(schema: Any) -> Iterator[str]:
    """Yield the descriptions of the members of objects. Of the objects, only an empty one has it on a page."""
    if not schema.get("properties") and schema.get("type") == "object":
        yield schema["description"]
    for member in schema.get("properties", {}).values():
        yield from ([member["description"]] if "description" in member else [])
    for each in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
        yield from _descriptions(each)


def _of_module(name: str, source: str) -> Iterator[str]:
    is_whole = name in SENTENCES
    refusals = (*REFUSALS, *(("ValueError",) if any(each in name for each in OF_VALUES) else ()))
    refusals += ("RuntimeError",) if any(each in name for each in OF_HEALTH) else ()
    refusals += ("append",) if is_whole else ()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in refusals:
            for argument in node.args:
                yield from _texts(argument)
        elif is_whole and isinstance(node, ast.Return | ast.Assign) and node.value is not None:
            yield from () if isinstance(node.value, ast.Call) else _texts(node.value)


def _texts(node: ast.expr) -> Iterator[str]:
    called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    if called in ("_", "gettext", "ngettext", "removeprefix"):
        return
    if isinstance(node, ast.Constant | ast.JoinedStr):
        if text := _template(node):
            yield text
        parts = node.values if isinstance(node, ast.JoinedStr) else ()
        inner = [each.value for each in parts if isinstance(each, ast.FormattedValue)]
    elif isinstance(node, ast.Dict):
        inner = list(node.values)
    else:
        inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
    for each in inner:
        yield from _texts(each)


def _template(node: ast.Constant | ast.JoinedStr) -> str:
    """Return a sentence with placeholders for its values, empty if it is none."""
    if isinstance(node, ast.Constant):
        text, least = node.value if isinstance(node.value, str) else "", 2
    else:
        parts = [str(each.value) if isinstance(each, ast.Constant) else VALUE for each in node.values]
        text, least = "".join(parts), 1
    text = re.sub(r"(\{value\})+", VALUE, PATH.sub("", text))
    is_name = re.fullmatch(r"[\w{}]*", text) is not None
    return text if not (is_name or text.endswith(" ")) and len(WORD.findall(text.replace(VALUE, " "))) >= least else ""
