"""`meta`: a JSON object of the client, stored with an event."""

import math
from typing import Any

import orjson

MAX_META_BYTES = 2 * 1024**2
MAX_META_DEPTH = 100


def check_meta(data: Any) -> None:
    """Raise ValueError for what is no `meta`: at most 2 MB, no spaces in names, no null characters."""
    if not isinstance(data, dict):
        raise ValueError("A JSON object is required.")
    waiting: list[tuple[Any, int]] = [(data, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_META_DEPTH:
            raise ValueError(f"At most {MAX_META_DEPTH} levels are allowed.")
        if isinstance(value, dict):
            if any(" " in name for name in value):
                raise ValueError("Names must not contain spaces.")
            waiting += [(inner, depth + 1) for inner in (*value, *value.values())]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str) and "\x00" in value:
            raise ValueError("Null characters are not allowed.")
        elif isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError("Values must be valid JSON: no binary data, no NaN, no infinity.")
    if len(orjson.dumps(data)) > MAX_META_BYTES:
        raise ValueError(f"At most {MAX_META_BYTES} bytes are allowed.")
