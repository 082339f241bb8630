"""Checks of values and schemas that clients send for limitations of other software."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson

from apps.common import errors
from apps.common.budget import Budget
from apps.common.config.sentences import looks_secret
from apps.common.errors import LunaError
from apps.common.process import PerProcess
from apps.configurator import judge as judging
from apps.configurator.choices import MAX_VALUE_BYTES

SECRET_NAME = re.compile(r"(password|passwd|secret|token|private_key|passphrase)$", re.IGNORECASE)
NOT_NAMES = "\0"
CPU_LIMIT_S = 1.0  # of a question; real schemas take milliseconds
WAIT_S = 5.0  # of a question for the answers of others


def json_check(value: Any, path: str) -> None:
    """Raise LunaError INVALID_JSON for a value that is too large or has a null character, which JSONB rejects."""
    text = orjson.dumps(value)
    if len(text) > MAX_VALUE_BYTES:
        raise LunaError(errors.INVALID_JSON, f"at most {MAX_VALUE_BYTES} bytes are allowed. Path: '{path}'")
    if b"\\u0000" in text and any(NOT_NAMES in each for each in _texts(value)):
        raise LunaError(errors.INVALID_JSON, f"null characters are not allowed. Path: '{path}'")


def schema_check(schema: Any) -> None:
    """Raise LunaError INVALID_JSON for what is no JSON Schema, SERVICE_BUSY for a long wait."""
    json_check(schema, "validation_schema")
    judge().ask(schema)


def value_check(value: Any, schema: Any, path: str = "value") -> None:
    """Check a value against a JSON Schema. References to other documents are not resolved.

    Raises LunaError INVALID_JSON, also for secrets, which are not stored, and for a check beyond the limits of
    `Judge`; SERVICE_BUSY for a long wait.
    """
    _storable_check(value, path)
    if found := judge().ask(schema, value):
        best = found["best"]
        raise LunaError(errors.INVALID_JSON, f"{best['text']} Path: '{'.'.join((path, *best['path']))}'")


def problems(value: Any, schema: Any) -> dict[str, str]:
    """Return all problems of a value by path, with dots; none if `value_check` accepts it."""
    try:
        _storable_check(value, "value")
        found = judge().ask(schema, value).get("all", ())
    except LunaError as error:
        if error.code != errors.INVALID_JSON:
            raise
        return {"": error.detail}
    by_path: dict[str, str] = {}
    for each in found:
        by_path.setdefault(".".join((*each["path"], *each["missing"])), each["text"])
    return by_path


def _storable_check(value: Any, path: str) -> None:
    """Raise LunaError INVALID_JSON for a value that is not stored, whatever its schema is."""
    json_check(value, path)
    if name := next(_secret_places(value), None):
        raise LunaError(
            errors.INVALID_JSON,
            f"`{name}` is a secret and must not be stored: leave it empty, and set it where the software runs. "
            f"Path: '{path}'",
        )


class Judge:
    """The child process that applies schemas (`judge.py`). It starts with the first question, and anew after its end.

    One question at a time: administrators ask rarely, and an answer is limited.
    """

    def __init__(self, cpu_limit_s: float = CPU_LIMIT_S) -> None:
        self._cpu_limit_s = cpu_limit_s
        self._turn = Budget("schemas are being checked", 1, WAIT_S)
        self.child: subprocess.Popen[bytes] | None = None

    def ask(self, schema: Any, *values: Any) -> dict[str, Any]:
        """Return the problems of a value, empty if there are none. Without a value only the schema is checked.

        Raises LunaError INVALID_JSON for the schema, also at the limit of time; SERVICE_BUSY after a long wait.
        """
        with self._turn.take(1):
            line = self._answer(orjson.dumps((schema, values)) + b"\n")
        found: dict[str, Any] = orjson.loads(line)
        if "schema" in found:
            raise LunaError(errors.INVALID_JSON, f"{found['schema']} Path: 'validation_schema'")
        return found

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()

    def _answer(self, question: bytes) -> bytes:
        child = self._started()
        try:
            child.stdin.write(question)  # type: ignore[union-attr]  # a pipe
            child.stdin.flush()  # type: ignore[union-attr]
            line = child.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            line = b""
        if line:
            return line
        self.child = None
        child.communicate()
        if child.returncode != -signal.SIGPROF:
            raise RuntimeError(f"the process that checks schemas has ended with {child.returncode}")
        text = f"the check takes longer than {self._cpu_limit_s:g} s. Path: 'validation_schema'"
        raise LunaError(errors.INVALID_JSON, text)

    def _started(self) -> "subprocess.Popen[bytes]":
        if self.child is None or self.child.poll() is not None:
            self.close()
            command = (sys.executable, "-I", judging.__file__, str(self._cpu_limit_s))
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})  # noqa: S603
        return self.child


judge = PerProcess("schemas", Judge, close=Judge.close)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _secret_places(value: Any, name: str = "value") -> Iterator[str]:
    if isinstance(value, str):
        if looks_secret(value) or (value and SECRET_NAME.search(name)):
            yield name
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _secret_places(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _secret_places(each, name)
