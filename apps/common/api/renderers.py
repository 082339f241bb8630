"""JSON by orjson and MessagePack; a client chooses by `Accept`, a missing or foreign `Accept` gets JSON."""

from collections.abc import Mapping
from typing import Any

import orjson
import ormsgpack
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


class MsgPackRenderer(BaseRenderer):
    media_type = "application/msgpack"
    format = "msgpack"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return ormsgpack.packb(data, option=ormsgpack.OPT_SERIALIZE_NUMPY | ormsgpack.OPT_NON_STR_KEYS)


class TolerantNegotiation(DefaultContentNegotiation):
    """Never refuses: a client that accepts only something else gets JSON, as the platform answers."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        for renderer in renderers:
            if renderer.media_type in request.headers.get("Accept", ""):
                return renderer, renderer.media_type
        return renderers[0], renderers[0].media_type
