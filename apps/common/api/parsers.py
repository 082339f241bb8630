"""Parsers of JSON and MessagePack bodies. Views read images and multipart bodies themselves."""

import codecs
import json
from collections.abc import Mapping
from typing import Any

import msgpack
import orjson
import ormsgpack
from django.utils.http import parse_header_parameters
from rest_framework.parsers import BaseParser

from apps.common import errors
from apps.common.config import Http, config
from apps.common.errors import LunaError
from apps.common.limits import too_large

BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# Accepted codecs, by Python's names. Some other codecs take quadratic time or are not charsets.
CHARSETS = frozenset(
    {"ascii", "utf-8", "utf-8-sig", "koi8-r", "koi8-u", "gbk", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"}
    | {f"utf-{bits}{order}" for bits in (16, 32) for order in ("", "-le", "-be")}
    | {f"iso8859-{part}" for part in range(1, 17)}
    | {f"cp{page}" for page in range(1250, 1259)}
)

MAX_LEVELS = 128  # of nested objects and arrays: validators are recursive, and `meta` of events has 100 of its own


def read_bounded(stream: Any) -> bytes:
    """Read a body into memory. Raises LunaError PAYLOAD_TOO_LARGE above `json_max_size`."""
    body: bytes = stream.read(config(Http).json_max_size + 1)
    if len(body) > config(Http).json_max_size:
        raise too_large("the JSON or MessagePack body", (Http, "json_max_size"))
    return body


def msgpack_decode(body: bytes) -> Any:
    """Decode a MessagePack body.

    Raises LunaError INVALID_MSGPACK, also when bytes follow the object, and for more than `MAX_LEVELS`.
    """
    try:
        decoded = ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise LunaError(errors.INVALID_MSGPACK, "", "not MessagePack") from error
    end = msgpack.Unpacker(max_buffer_size=len(body))  # ormsgpack does not report the end of the object
    end.feed(body)
    end.skip()
    if end.tell() != len(body):
        raise LunaError(errors.INVALID_MSGPACK, "", "bytes behind the object")
    if _is_deep(decoded):
        raise LunaError(errors.INVALID_MSGPACK, "", f"at most {MAX_LEVELS} levels are allowed")
    return decoded


def json_decode(body: bytes, charset: str = "") -> Any:
    """Decode a JSON body in a declared charset (default: UTF-8), with or without BOM.

    Raises LunaError NO_JSON for malformed JSON, BAD_CONTENT_TYPE for an unsupported charset, INVALID_JSON for more than
    `MAX_LEVELS`.
    """
    try:
        charset = _codec(charset)
        if charset == "utf-8" and not body.startswith(BOMS):
            decoded = orjson.loads(body)
        else:
            decoded = orjson.loads(body.decode(json.detect_encoding(body) if body.startswith(BOMS) else charset))
    except ValueError as error:
        raise LunaError(errors.NO_JSON) from error
    if _is_deep(decoded):
        raise LunaError(errors.INVALID_JSON, f"At most {MAX_LEVELS} levels are allowed. Path: ''")
    return decoded


def _is_deep(decoded: Any) -> bool:
    """Return whether objects and arrays are nested more deeply than `MAX_LEVELS`."""
    level, found = 0, [decoded] if isinstance(decoded, dict | list) else []
    while found and level <= MAX_LEVELS:
        members = (value.values() if isinstance(value, dict) else value for value in found)
        found = [inner for each in members for inner in each if isinstance(inner, dict | list)]
        level += 1
    return level > MAX_LEVELS


def charset_of(content_type: str) -> str:
    """Return the charset of a content type, or an empty text."""
    return parse_header_parameters(content_type)[1].get("charset", "")


def _codec(charset: str) -> str:
    try:
        codec = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):  # ValueError: a NUL character
        codec = ""
    if codec not in CHARSETS:
        raise LunaError(errors.BAD_CONTENT_TYPE)
    return codec


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        body = read_bounded(stream)
        if not body:
            raise LunaError(errors.NO_JSON)
        return json_decode(body, charset_of(media_type or ""))


class MsgPackParser(BaseParser):
    media_type = "application/msgpack"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return msgpack_decode(read_bounded(stream))
