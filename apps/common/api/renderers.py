"""Renderers of JSON (orjson) and MessagePack. Clients choose with `Accept`; the default is JSON."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import orjson
import ormsgpack
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class Renderer(BaseRenderer):
    """Renders None as an empty body and other data with `pack`."""

    charset = None
    pack: ClassVar[Callable[[Any], bytes]]

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else type(self).pack(data)


class JSONRenderer(Renderer):
    media_type = "application/json"
    format = "json"
    pack = partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


class MsgPackRenderer(Renderer):
    media_type = "application/msgpack"
    format = "msgpack"
    render_style = "binary"
    pack = partial(ormsgpack.packb, option=ormsgpack.OPT_SERIALIZE_NUMPY | ormsgpack.OPT_NON_STR_KEYS)


class TolerantNegotiation(DefaultContentNegotiation):
    """Selects JSON when a client accepts no supported format, as the platform does, instead of answering 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        accepted = request.META.get("HTTP_ACCEPT", "")
        for renderer in renderers:
            if renderer.media_type in accepted:
                return renderer, renderer.media_type
        return renderers[0], renderers[0].media_type
