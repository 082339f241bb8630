"""Requests and answers, independent of the way they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx

JSON: Literal["json"] = "json"
BYTES: Literal["bytes"] = "bytes"
NOTHING: Literal["nothing"] = "nothing"
OCTETS = "application/octet-stream"
SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n", "image/png"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"P6", "image/x-portable-pixmap"),
    (b"P5", "image/x-portable-pixmap"),
    (b"GIF8", "image/gif"),
)


class ApiError(Exception):
    """The platform answered with an error.

    `status`: of HTTP. `error_code`, `desc`, `detail`, `link`: of the body; None if it is no body of the platform, for
    example of a proxy. `request_id`: names the request in the logs of the platform.
    """

    def __init__(
        self,
        status: int,
        *,
        error_code: int | None = None,
        desc: str | None = None,
        detail: str | None = None,
        link: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.status, self.error_code, self.desc, self.detail = status, error_code, desc, detail
        self.link, self.request_id = link, request_id
        known = f"{error_code} {desc}: {detail}" if error_code is not None else f"status {status}"
        super().__init__(known)


@dataclass(frozen=True)
class Content:
    """Bytes with their media type. `content_type`: None to take it from the first bytes of a picture."""

    data: bytes
    content_type: str | None = None
    file_name: str = "image"

    @classmethod
    def of(cls, given: Picture) -> Content:
        if isinstance(given, Content):
            return given
        if isinstance(given, Path):
            return cls(given.read_bytes(), file_name=given.name)
        return cls(bytes(given))

    @property
    def media_type(self) -> str:
        if self.content_type is not None:
            return self.content_type
        if self.data[:4] == b"RIFF" and self.data[8:12] == b"WEBP":
            return "image/webp"
        return next((media for start, media in SIGNATURES if self.data.startswith(start)), OCTETS)


Picture = bytes | Path | Content
"""A picture: its bytes, its file, or its bytes with a media type."""


@dataclass(frozen=True)
class Form:
    """A multipart body: pictures with names of their own, and further members as JSON."""

    images: Sequence[Picture]
    fields: Mapping[str, object] = field(default_factory=dict)

    def parts(self) -> list[tuple[str, Any]]:
        contents = [Content.of(each) for each in self.images]
        names = [each.file_name for each in contents]
        if len({*names}) < len(names):
            names = [f"{number}-{name}" for number, name in enumerate(names)]
        parts: list[tuple[str, Any]] = [
            ("image", (name, each.data, each.media_type)) for name, each in zip(names, contents, strict=True)
        ]
        for name, value in self.fields.items():
            text = value if isinstance(value, str) else json.dumps(value)
            parts.append((name, (None, text, "text/plain" if isinstance(value, str) else "application/json")))
        return parts


@dataclass(frozen=True)
class Call:
    """A request of the API. None among parameters and headers: not sent."""

    method: str
    path: str
    params: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, object] = field(default_factory=dict)
    body: Any = None
    answer: Literal["json", "bytes", "nothing"] = JSON

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `httpx.Client.build_request`."""
        sent: dict[str, Any] = {
            "method": self.method,
            "url": self.path,
            "params": {name: _text(value) for name, value in self.params.items() if value is not None},
            "headers": {name: _text(value) for name, value in self.headers.items() if value is not None},
        }
        if isinstance(self.body, Form):
            sent["files"] = self.body.parts()
        elif isinstance(self.body, (bytes, bytearray, Path, Content)):
            content = Content.of(bytes(self.body) if isinstance(self.body, bytearray) else self.body)
            sent["content"] = content.data
            sent["headers"]["Content-Type"] = content.media_type
        elif self.body is not None:
            sent["json"] = self.body
        return sent

    def result(self, response: httpx.Response) -> Any:
        """Return the answer of a response whose body has been read. Raises ApiError."""
        if response.status_code >= 400:
            raise error_of(response)
        if self.answer == NOTHING:
            return None
        return response.content if self.answer == BYTES else response.json()


def path_of(template: str, **values: str) -> str:
    """Fill the path with quoted values."""
    for name, value in values.items():
        template = template.replace("{" + name.rstrip("_") + "}", quote(str(value), safe=""))
    return template


def error_of(response: httpx.Response) -> ApiError:
    """Return the error of a response with a status of 400 or above."""
    request_id = response.headers.get("Luna-Request-Id")
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "error_code" not in body:
        return ApiError(response.status_code, request_id=request_id)
    known = {name: body.get(name) for name in ("error_code", "desc", "detail", "link")}
    return ApiError(response.status_code, request_id=request_id, **known)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(_text(each) for each in value)
    return str(value)
