"""What is fed with damaged input: each target has well-formed seeds and a call that may raise LunaError and nothing
else.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import orjson
import ormsgpack
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from apps.common.api.parsers import JSONParser, MsgPackParser
from apps.common.descriptors import base64_encode, raw_decode, raw_encode, sdk_decode, sdk_encode
from apps.common.validation import checked_body, checked_data
from apps.common.xpk import xpk_decode, xpk_encode
from apps.faces.api.serializers import AttributeBody
from apps.faces.attribute_input import attribute_parse
from apps.matching.api.serializers import MatchBody, RawMatchBody
from apps.matching.references import descriptors_read
from apps.recognition.api.input_schemas import ReferencesSerializer
from apps.recognition.api.inputs import parse_inputs
from apps.recognition.engine.decode import decode
from apps.recognition.engine.exif import read_exif
from apps.recognition.inputs.types import Rules
from tests.containers import grid, saved_heif
from tests.factories import make_version, unit_vectors

MAX_BYTES, MAX_PIXELS = 1_000_000, 1_000_000
FLOATS, BYTES = make_version(9401, 16), make_version(9411, 16, "uint8")
RULES = Rules(
    parts=frozenset({"policies"}),
    details=frozenset({"meta", "detect_time", "detect_ts", "image_origin"}),
    descriptors=True,
    bodies=True,
)


@dataclass(frozen=True)
class Target:
    """`share`: of a hundred inputs, how many this one gets."""

    seeds: Sequence[bytes]
    call: Callable[[bytes], object]
    share: int


def _read_picture(data: bytes) -> None:
    found = decode(data, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)
    height, width, channels = found.pixels.shape
    assert (found.pixels.dtype, channels) == (np.uint8, 3)
    assert 0 < height * width <= MAX_PIXELS
    orjson.dumps(read_exif(found.exif))


def _pictures(kind: str) -> list[bytes]:
    y, x = np.mgrid[0:20, 0:30]
    rgb = Image.fromarray(np.stack([x * 8, y * 12, (x + y) * 5], -1).astype(np.uint8))
    grey = rgb.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    kinds: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "JPEG": [
            (rgb, {"exif": _exif()}), (rgb, {"progressive": True}), (grey, {}), (rgb.convert("CMYK"), {}),
            (rgb, {"subsampling": 0, "restart_marker_blocks": 1}),
        ],
        "PNG": [
            (rgb, {"exif": _exif()}), (rgb.convert("RGBA"), {}), (grey.convert("LA"), {}), (deep, {}),
            (palette, {"transparency": 3, "bits": 4}), (rgb.convert("1"), {}),
        ],
        "BMP": [(rgb, {}), (grey, {}), (palette, {}), (rgb.convert("1"), {}), (rgb.convert("RGBA"), {})],
        "TIFF": [
            *((rgb, {"compression": name, "exif": _exif()}) for name in ("raw", "tiff_lzw", "jpeg", "packbits")),
            (deep, {"compression": "tiff_adobe_deflate"}), (rgb.convert("CMYK"), {}), (rgb.convert("LAB"), {}),
            (rgb.convert("1"), {"compression": "group4"}), (grey.convert("F"), {}),
            (rgb, {"save_all": True, "append_images": [grey]}),
        ],
        "WEBP": [
            (rgb, {"exif": _exif()}), (rgb, {"lossless": True}), (rgb.convert("RGBA"), {"exact": True}),
            (rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ],
        "PPM": [(rgb, {}), (grey, {}), (rgb.convert("1"), {}), (deep, {})],
        "GIF": [
            (palette, {"transparency": 2}), (grey, {"interlace": 1}),
            (palette, {"save_all": True, "append_images": [palette.rotate(180)], "duration": 10}),
        ],
        "JPEG2000": [(rgb, {}), (rgb.convert("RGBA"), {}), (deep, {}), (rgb, {"no_jp2": True, "tile_size": (16, 16)})],
        "AVIF": [
            (rgb, {"exif": _exif()}), (rgb.convert("RGBA"), {}),
            (rgb, {"save_all": True, "append_images": [rgb.rotate(180)]}),
        ],
        "HEIF": [],
    }  # fmt: skip
    if kind == "HEIF":
        return [saved_heif(rgb), saved_heif(grey), grid(2, 3, (192, 128))]
    files = [_saved(picture, kind, **options) for picture, options in kinds[kind]]
    return [*files, b"P3 2 1 255 1 2 3 4 5 6", b"P1 3 1 1 0 1", b"P2 # c\n2 1 9 1 2"] if kind == "PPM" else files


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, "Maker", "2020:01:02 03:04:05"
    exif.get_ifd(0x8769)[0xA404] = IFDRational(3, 2)
    third = IFDRational(1, 3)
    exif.get_ifd(0x8825).update({1: "S", 2: (third, third, third), 3: "E", 4: (third, third, third)})
    return exif


def _request(data: bytes, content_type: str) -> Request:
    request = APIRequestFactory().post("/", data, content_type=content_type)
    return Request(request, parsers=[JSONParser(), MsgPackParser()])


def _match_raw(content_type: str, data: bytes) -> None:
    body = checked_body(RawMatchBody, _request(data, content_type))
    for reference in (*body["references"], *body["candidates"]):
        descriptors_read(reference)


def _match(content_type: str, data: bytes) -> None:
    checked_body(MatchBody, _request(data, content_type))


def _attribute(content_type: str, data: bytes) -> None:
    attribute_parse(checked_body(AttributeBody, _request(data, content_type)))


def _references(content_type: str, data: bytes) -> None:
    """Checked, but not fetched."""
    checked_data(ReferencesSerializer, _request(data, content_type).data)


def _form(data: bytes) -> None:
    parse_inputs(Request(APIRequestFactory().post("/", data, content_type="multipart/form-data; boundary=X")), RULES)


VECTOR = unit_vectors(1, 16)[0]
RAW = [raw_encode(VECTOR, version) for version in (FLOATS, BYTES)]
SDK = [sdk_encode(VECTOR, version) for version in (FLOATS, BYTES)]
XPK = [xpk_encode(SDK), xpk_encode(SDK[:1]), b"".join(SDK)]
TYPES = {"raw_descriptor": RAW[0], "sdk_descriptor": SDK[1], "xpk_file": XPK[0]}
ITEMS = [
    {"id": "a", "type": kind, "data": base64_encode(data)} | ({"version": 9401} if kind.startswith("raw") else {})
    for kind, data in TYPES.items()
]
UUID = "f3dbc2d1-6c1e-4a55-9f5c-6bfe7a1b2c3d"
RECT = {"x": 1, "y": 2, "width": 3, "height": 4}
RAW_MATCHES = [{"references": ITEMS[:1], "candidates": ITEMS[1:]}]
MATCHES = [
    {
        "references": [{"type": "face", "id": UUID}, {"type": "event_track_id", "id": "t"}],
        "candidates": [
            {"filters": {"origin": "faces", "list_id": UUID, "face_ids": [UUID], "create_time__gte": "now-7d"}},
            {"filters": {"origin": "attributes", "attribute_ids": [UUID]}, "limit": 3, "threshold": 0.5},
            {"filters": {"origin": "events", "tags": ["a"], "meta.a.b__gte:integer": 3, "age__lt": 30},
             "targets": ["event"]},
        ],
    }
]  # fmt: skip
ATTRIBUTES = [
    {
        "ttl": 60,
        "basic_attributes": {"attributes": {"age": 30, "gender": 1, "ethnicity": 4}, "samples": [UUID]},
        "face_descriptors": {
            "descriptors": [{key: value for key, value in item.items() if key != "id"} for item in ITEMS]
        },
    }
]
REFERENCES = [
    {"urls": ["http://example.com/a.jpg", {"url": "https://example.com/b", "face_bounding_boxes": [RECT]}]},
    {"samples": [UUID], "meta": {"a": [1, {"b": None}]}},
    {"samples": [{"sample_id": UUID, "detect_time": "2020-01-02T03:04:05.678Z", "detect_ts": 1.5}]},
]
FORMS = [
    b'--X\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    b'pixels\r\n--X\r\nContent-Disposition: form-data; name="face_bounding_boxes"\r\n'
    b"Content-Type: application/json\r\nX-Luna-Trusted-Detections: 1\r\n\r\n"
    + orjson.dumps([{"filename": "a.jpg", "face_bounding_boxes": [RECT]}])
    + b"\r\n--X--\r\n",
    b"--X\r\nContent-Disposition: form-data; name=\"b\"; filename*=UTF-8''%e2%82%ac.png\r\n"
    b"Content-Type: image/x-png-base64\r\n\r\ncGl4ZWxz\r\n--X\r\n"
    b'Content-Disposition: form-data; name="meta"\r\n\r\n{"a": 1}\r\n--X\r\n'
    b'Content-Disposition: form-data; name="d"; filename="d"\r\nContent-Type: application/x-vl-face-descriptor\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
    b'--X\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n'
    b"Content-Type: application/x-vl-xpk-base64\r\n\r\n" + base64_encode(XPK[0]).encode() + b"\r\n--X--\r\n",
]
BODIES: dict[str, tuple[Callable[..., object], list[Any]]] = {
    "raw match": (_match_raw, RAW_MATCHES),
    "match": (_match, MATCHES),
    "attribute": (_attribute, ATTRIBUTES),
    "references": (_references, REFERENCES),
}
PICTURE_SHARES = {
    "JPEG": 10,
    "PNG": 8,
    "BMP": 6,
    "TIFF": 14,
    "WEBP": 8,
    "PPM": 4,
    "GIF": 6,
    "JPEG2000": 6,
    "AVIF": 6,
    "HEIF": 6,
}

TARGETS: dict[str, Target] = {
    **{kind: Target(_pictures(kind), _read_picture, share) for kind, share in PICTURE_SHARES.items()},
    "raw, floats": Target(RAW[:1], lambda data: raw_decode(data, FLOATS), 2),
    "raw, bytes": Target(RAW[1:], lambda data: raw_decode(data, BYTES), 1),
    "sdk": Target(SDK, sdk_decode, 4),
    "xpk": Target(XPK, xpk_decode, 7),
    **{
        f"{name}, JSON": Target([orjson.dumps(seed) for seed in seeds], partial(call, "application/json"), 3)
        for name, (call, seeds) in BODIES.items()
    },
    **{
        f"{name}, MessagePack": Target(
            [ormsgpack.packb(seed) for seed in seeds], partial(call, "application/msgpack"), 3
        )
        for name, (call, seeds) in BODIES.items()
    },
    "multipart": Target(FORMS, _form, 6),
}
