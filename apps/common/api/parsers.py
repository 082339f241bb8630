"""Request bodies: JSON and MessagePack. Images and multipart bodies are read by the views that take them."""

from collections.abc import Mapping
from typing import Any

import orjson
import ormsgpack
from rest_framework.parsers import BaseParser

from apps.common.errors import LunaError


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        body = stream.read()
        if not body:
            raise LunaError(12002)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise LunaError(12002) from error


class MsgPackParser(BaseParser):
    media_type = "application/msgpack"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            return ormsgpack.unpackb(stream.read())
        except ormsgpack.MsgpackDecodeError as error:
            raise LunaError(12047, "", "not MessagePack") from error
