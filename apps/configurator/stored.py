"""Stored values of the settings' groups, as the settings door reads them. This module needs no Django.

A process reads them before Django is set up, because Django's settings depend on them. The last ones that it has read
are kept in a file: a process that starts while the database is away starts with them.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as postgres

from apps.common.config import GROUPS, SettingsError, loaded

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3
NO_VERSION = 0
KEPT = "run/settings.json"  # in the var directory
Values = Mapping[str, Any]

VERSION = "SELECT version FROM configurator_state"
# One statement, so that version and values belong together.
VALUES = """
SELECT (SELECT version FROM configurator_state), l.limitation_name, s.is_default, s.tags, s.value::text
FROM configurator_limitation l JOIN configurator_setting s ON s.limitation_id = l.id
WHERE l.platform
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Stored values by the name of their group, nested JSON without defaults, and the version of the whole."""

    version: int = NO_VERSION
    values: Mapping[str, Values] = field(default_factory=dict)

    def __call__(self, name: str) -> Values:
        return self.values.get(name, {})


def snapshot_of(rows: Iterable[tuple[Any, ...]], tags: Mapping[str, str]) -> Snapshot:
    """Return the values of rows of `VALUES`. `tags`: the tag of a group; other groups have their default values.

    Raises SettingsError for a tag without a setting.
    """
    version, values, missing = NO_VERSION, {}, dict(tags)
    for number, name, is_default, names, text in rows:
        version = number
        if name in tags:
            if tags[name] not in names:
                continue
            missing.pop(name)
        elif not is_default:
            continue
        values[name] = json.loads(text)
    if missing:
        name, tag = next(iter(missing.items()))
        raise SettingsError(f"LUNA_CONFIG_TAGS names the tag {tag!r} of {name}, which does not exist.")
    return Snapshot(version, values)


def snapshot_at_start(*, database_url: str, tags: Mapping[str, str], kept: Path) -> Snapshot:
    """Read the stored values, or the kept ones while the database is away. Raises SettingsError for an unknown tag."""
    try:
        with psycopg.connect(database_url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            rows = connection.execute(VALUES).fetchall()
    except (postgres.UndefinedTable, postgres.InvalidCatalogName):
        return Snapshot()  # the database is new
    except (psycopg.Error, OSError, UnicodeError):
        return kept_read(kept)
    snapshot = snapshot_of(rows, tags)
    kept_write(kept, snapshot)
    return snapshot


def kept_read(file: Path) -> Snapshot:
    """Return the values of the file; none if it is missing or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(file.read_text())
        return Snapshot(int(content["version"]), dict(content["values"]))
    return Snapshot()


def kept_write(file: Path, snapshot: Snapshot) -> None:
    """Replace the file, readable by the owner only. A directory that cannot be written is no error."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w") as out:
            json.dump({"version": snapshot.version, "values": snapshot.values}, out)
        Path(name).replace(file)


class StartValues:
    """Stored values of a starting process. Invalid ones of a group are left out, so that the platform starts.

    `problems`: a sentence per group that was left out.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.problems: dict[str, str] = {}

    def __call__(self, name: str) -> Values:
        values = self.snapshot(name)
        if values and name not in self.problems:
            group = next(group for group in GROUPS.values() if group.name == name)
            try:
                loaded(group, values, os.environ)
            except SettingsError as error:
                self.ignore(name, str(error))
        return {} if name in self.problems else values

    def ignore(self, name: str, reason: str) -> bool:
        """Leave the stored values of a group out. Return whether it has any that were not left out before."""
        if name in self.problems or not self.snapshot(name):
            return False
        self.problems[name] = reason
        logger.error("Stored values of %s are ignored: %s", name, reason)
        return True


def values_read(cursor: Any, tags: Mapping[str, str]) -> Snapshot:
    """Read the stored values. Raises SettingsError for an unknown tag."""
    cursor.execute(VALUES)
    return snapshot_of(cursor.fetchall(), tags)


def version_read(cursor: Any) -> int:
    """Read the version of the stored values."""
    cursor.execute(VERSION)
    row = cursor.fetchone()
    return int(row[0]) if row else NO_VERSION
