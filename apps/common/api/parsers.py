"""Parsers of JSON and MessagePack bodies. Views read images and multipart bodies themselves."""

from collections.abc import Mapping
from typing import Any

import msgpack
import orjson
import ormsgpack
from rest_framework.parsers import BaseParser

from apps.common import errors
from apps.common.config import Http, config
from apps.common.errors import LunaError


def read_bounded(stream: Any) -> bytes:
    """Read a body into memory. Raises LunaError PAYLOAD_TOO_LARGE above `json_max_size`."""
    body: bytes = stream.read(config(Http).json_max_size + 1)
    if len(body) > config(Http).json_max_size:
        raise LunaError(errors.PAYLOAD_TOO_LARGE)
    return body


def msgpack_decode(body: bytes) -> Any:
    """Decode a MessagePack body. Raises LunaError INVALID_MSGPACK, also when bytes follow the object."""
    try:
        decoded = ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise LunaError(errors.INVALID_MSGPACK, "", "not MessagePack") from error
    end = msgpack.Unpacker(max_buffer_size=len(body))  # ormsgpack does not report the end of the object
    end.feed(body)
    end.skip()
    if end.tell() != len(body):
        raise LunaError(errors.INVALID_MSGPACK, "", "bytes behind the object")
    return decoded


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        body = read_bounded(stream)
        if not body:
            raise LunaError(errors.NO_JSON)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise LunaError(errors.NO_JSON) from error


class MsgPackParser(BaseParser):
    media_type = "application/msgpack"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return msgpack_decode(read_bounded(stream))
