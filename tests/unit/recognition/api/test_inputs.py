"""Images of requests: every form of body, and rejections with their codes."""

import base64
import json
from typing import Any
from uuid import uuid4

import ormsgpack
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from apps.common.config import Images, override_config
from apps.common.descriptors import raw_encode, versions
from apps.common.errors import LunaError
from apps.recognition.api.inputs import read_inputs
from apps.recognition.inputs.types import Inputs, Rules
from apps.recognition.types import ImageType, Rect
from tests.factories import unit_vectors

DETAILS = frozenset({"meta", "detect_time", "detect_ts", "image_origin"})
RULES = Rules(parts=frozenset({"policies"}), details=DETAILS, descriptors=True, bodies=True)
RECT = {"x": 1, "y": 2, "width": 3, "height": 4}


def read(body: Any, content_type: str, rules: Rules = RULES, **headers: str) -> Inputs:
    data = json.dumps(body) if content_type == "application/json" and not isinstance(body, bytes | str) else body
    request = APIRequestFactory().post("/", data, content_type=content_type, headers=headers)
    return read_inputs(Request(request), rules, account_id=None)


def read_form(*parts: tuple[str, Any], rules: Rules = RULES, **headers: str) -> Inputs:
    """Parts are (name, JSON value) or (name, (file name, bytes, content type)), in this order."""
    body = b""
    for name, value in parts:
        filename, data, content_type = value if isinstance(value, tuple) else (None, json.dumps(value).encode(), None)
        body += b'--X\r\nContent-Disposition: form-data; name="%s"' % name.encode()
        body += b'; filename="%s"' % filename.encode() if filename else b""
        body += b"\r\nContent-Type: %s" % content_type.encode() if content_type else b""
        body += b"\r\n\r\n" + data + b"\r\n"
    return read(body + b"--X--\r\n", "multipart/form-data; boundary=X", rules, **headers)


def image(filename: str = "a.jpg", data: bytes = b"pixels", content_type: str = "image/jpeg") -> Any:
    return "image", (filename, data, content_type)


def code_of(function: Any, *args: Any, **kwargs: Any) -> int:
    with pytest.raises(LunaError) as caught:
        function(*args, **kwargs)
    return caught.value.code


class TestOneImage:
    @pytest.mark.parametrize(
        "content_type", ["image/jpeg", "image/png", "image/bmp", "image/tiff", "image/x-portable-pixmap", "IMAGE/JPEG"]
    )
    def test_bytes(self, content_type: str) -> None:
        inputs = read(b"pixels", content_type)
        assert inputs.alone
        assert [picture.image.data for picture in inputs.pictures] == [b"pixels"]

    @pytest.mark.parametrize("content_type", ["image/x-jpeg-base64", "image/x-windows-bmp-base64"])
    def test_base64_with_line_breaks(self, content_type: str) -> None:
        body = base64.encodebytes(bytes(range(256)))
        assert read(body, content_type).pictures[0].image.data == bytes(range(256))

    @pytest.mark.parametrize("body", [b"!!!!", b"abc", b"\xff\xd8\xff\xe0", "ПРИВЕТ!!".encode()])
    def test_bad_base64(self, body: bytes) -> None:
        assert code_of(read, body, "image/x-jpeg-base64") == 18001

    @pytest.mark.parametrize("content_type", ["text/plain", "application/pdf", "image/x-nothing", "video/mp4"])
    def test_wrong_content_types(self, content_type: str) -> None:
        assert code_of(read, b"pixels", content_type) == 12017

    def test_nothing(self) -> None:
        assert code_of(read, b"", "image/jpeg") == 12030

    @override_config(Images, max_bytes=30)
    def test_too_much(self) -> None:
        assert read(b"x" * 30, "image/png").pictures[0].image.data == b"x" * 30
        assert code_of(read, b"x" * 31, "image/png") == 37003
        assert code_of(read, b"eHh4" * 12, "image/x-png-base64") == 37003

    def test_the_type_of_image_is_passed_on(self) -> None:
        inputs = read(b"pixels", "image/jpeg", Rules(image_type=ImageType.FACE_WARP))
        assert inputs.pictures[0].image.image_type is ImageType.FACE_WARP

    def test_a_descriptor_where_it_is_allowed(self) -> None:
        version = versions.default("face")
        data = raw_encode(unit_vectors(1, version.dimension)[0], version)
        inputs = read(data, "application/x-vl-face-descriptor")
        (file,) = inputs.descriptors
        assert (file.filename, [found for found, _ in file.descriptors]) == ("raw_descriptor", [version])
        assert inputs.alone
        assert code_of(read, data, "application/x-vl-face-descriptor", Rules()) == 12017


class TestForm:
    def test_images_keep_names_and_order(self) -> None:
        inputs = read_form(image("b.png", b"1"), image("a.jpg", b"2", "image/x-jpeg-base64"), image("c", b"3", ""))
        assert [(p.image.filename, p.image.data) for p in inputs.pictures if not p.error] == [
            ("b.png", b"1"),
            ("c", b"3"),
        ]
        assert [p.error.code for p in inputs.pictures if p.error] == [18001]
        assert not inputs.alone

    def test_djangos_own_encoder_is_understood(self) -> None:
        files = {"image": SimpleUploadedFile("ö.jpg", b"1", "image/jpeg"), "policies": "{}"}
        request = Request(APIRequestFactory().post("/", files, format="multipart"))
        inputs = read_inputs(request, RULES, account_id=None)
        assert (inputs.pictures[0].image.filename, inputs.parts) == ("ö.jpg", {"policies": {}})

    def test_boxes_go_to_their_image(self) -> None:
        boxes = [{"filename": "b.jpg", "face_bounding_boxes": [RECT]}]
        bodies = [{"filename": "a.jpg", "body_bounding_boxes": [RECT]}]
        inputs = read_form(
            image("a.jpg"), image("b.jpg"), ("face_bounding_boxes", boxes), ("body_bounding_boxes", bodies)
        )
        assert [p.image.face_boxes for p in inputs.pictures] == [(), (Rect(1, 2, 3, 4),)]
        assert [p.image.body_boxes for p in inputs.pictures] == [(Rect(1, 2, 3, 4),), ()]
        assert not inputs.pictures[1].image.trusted_boxes
        trusted: dict[str, Any] = {"X-Luna-Trusted-Detections": "1"}
        inputs = read_form(image("b.jpg"), ("face_bounding_boxes", boxes), **trusted)
        assert inputs.pictures[0].image.trusted_boxes

    def test_details_of_one_and_of_all(self) -> None:
        inputs = read_form(
            image("a.jpg"),
            image("b.jpg"),
            ("meta", {"x": 1}),
            ("detect_ts", [{"filename": "b.jpg", "detect_ts": 1.5}]),
            ("image_origin", "http://example.org/1"),
            ("detect_time", "2024-01-02T03:04:05+03:00"),
        )
        first, second = (picture.details for picture in inputs.pictures)
        assert inputs.meta == {"x": 1}
        assert (first.detect_ts, second.detect_ts) == (None, 1.5)
        assert first.image_origin == second.image_origin == "http://example.org/1"
        assert second.detect_time is not None
        assert second.detect_time.isoformat() == "2024-01-02T03:04:05+03:00"

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_names_of_files_in_utf8_and_latin1(self, encoding: str) -> None:
        head = 'Content-Disposition: form-data; name="image"; filename="Zoë ß.jpg"\r\nContent-Type: image/jpeg'
        part = head + "\r\n\r\npixels"
        inputs = read(b"--X\r\n" + part.encode(encoding) + b"\r\n--X--\r\n", "multipart/form-data; boundary=X")
        assert [(each.image.filename, each.image.data) for each in inputs.pictures] == [("Zoë ß.jpg", b"pixels")]

    @pytest.mark.parametrize(
        ("data", "content_type"),
        [
            (b'{"x": 1}', "text/plain"), ('{"x": 1}'.encode("utf-16"), "text/plain; charset=utf-16"),
            (b'\xef\xbb\xbf{"x": 1}', "application/json"), (b'{"x": 1}', 'text/plain;charset="UTF-8"'),
        ],
    )  # fmt: skip
    def test_json_parts_as_plain_text_and_in_any_charset(self, data: bytes, content_type: str) -> None:
        assert read_form(image(), ("meta", (None, data, content_type))).meta == {"x": 1}

    @pytest.mark.parametrize(
        ("parts", "code"),
        [
            ([image("a.jpg"), image("a.jpg")], 11046),
            ([image("a.jpg", b"", "text/plain")], 11029),
            ([("policies", {})], 12030),
            ([image(), ("unknown", {})], 12039),
            ([image(), ("policies", {}), ("policies", {})], 12040),
            ([image(), ("policies", (None, b"{}", "text/xml"))], 12041),
            ([image(), ("policies", (None, b"{", "application/json"))], 12002),
            ([image(), ("policies", (None, b"{}", "text/plain; charset=nothing"))], 12017),
            ([image(f"{number}.jpg") for number in range(9)], 11049),
            ([image(), ("face_bounding_boxes", []), ("face_bounding_boxes", [])], 11048),
            ([image(), ("face_bounding_boxes", [{"filename": "a.jpg", "face_bounding_boxes": [RECT, RECT]}])], 11045),
            ([image(), ("face_bounding_boxes", [{"filename": "a.jpg", "face_bounding_boxes": [RECT]}] * 2)], 11050),
            ([image(), ("face_bounding_boxes", [{"filename": "b.jpg", "face_bounding_boxes": [RECT]}])], 11049),
            ([image(), ("face_bounding_boxes", {"filename": "a.jpg"})], 12027),
            ([image(), ("face_bounding_boxes", [{"filename": "a.jpg", "face_bounding_boxes": [RECT | {"width": 0}]}])],
             12027),
            ([image(), ("face_bounding_boxes", [{"filename": "a.jpg", "face_bounding_boxes": [{"x": 1}]}])], 12027),
            ([image(), ("body_bounding_boxes", [{"filename": "a.jpg", "body_bounding_boxes": [RECT, RECT]}])], 11045),
            ([image(), ("body_bounding_boxes", [{"filename": "b.jpg", "body_bounding_boxes": [RECT]}])], 11049),
            ([image(), ("meta", (None, b" " * (2**22 + 1), "application/json"))], 37003),
            ([image(), ("meta", {"a b": 1})], 12027),
            ([image(), ("meta", {"a": ["\x00"]})], 12027),
            ([image(), ("meta", 7)], 12027),
            ([image(), ("meta", {"a": json.loads("[" * 200 + "]" * 200)})], 12027),
            ([image(), ("meta", {"a": "x" * 2**21})], 12027),
            ([image(), ("detect_time", "yesterday")], 12027),
            ([image(), ("detect_ts", [{"detect_ts": 1}])], 12027),
            ([image(), ("image_origin", "x" * 257)], 12027),
        ],
    )  # fmt: skip
    def test_refused(self, parts: Any, code: int) -> None:
        assert code_of(read_form, *parts) == code

    def test_no_body(self) -> None:
        assert code_of(read, b"", "multipart/form-data; boundary=X") == 12030

    def test_no_boxes_for_warps(self) -> None:
        rules = Rules(image_type=ImageType.FACE_WARP)
        boxes = [{"filename": "a.jpg", "face_bounding_boxes": [RECT]}]
        assert code_of(read_form, image(), ("face_bounding_boxes", boxes), rules=rules) == 11047

    @pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=ÿ"])
    def test_no_boundary(self, content_type: str) -> None:
        assert code_of(read, b"--X--", content_type) == 12046

    @pytest.mark.parametrize("place", ["first", "last"])
    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"Content-Type: image/jpeg\r\n",
            b"--Content-Disposition form-data\r\n",
        ],
    )
    def test_a_part_without_a_readable_name_is_not_passed_over(self, head: bytes, place: str) -> None:
        parts = [b'Content-Disposition: form-data; name="image"; filename="a"\r\n', head]
        body = b"".join(b"--X\r\n" + part + b"\r\npixels\r\n" for part in parts[:: -1 if place == "first" else 1])
        content_type = "multipart/form-data; boundary=X"
        assert code_of(read, body + b"--X--\r\n", content_type) == 12046

    def test_what_stands_around_the_parts_is(self) -> None:
        part = b'--X\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\npixels\r\n'
        body = b"before\r\n\r\nall\r\n" + part + b"--X--\r\nbehind\r\n\r\nall"
        (picture,) = read(body, "multipart/form-data; boundary=X").pictures
        assert picture.image.data == b"pixels"

    @override_config(Images, max_bytes=30)
    def test_one_too_large_image_does_not_stop_the_others(self) -> None:
        inputs = read_form(image("a.jpg", b"x" * 1000), image("b.jpg", b"x" * 30))
        assert [picture.error and picture.error.code for picture in inputs.pictures] == [37003, None]


class TestReferences:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ("{", 12002),
            ("", 12030),
            ({}, 12027),
            ({"urls": []}, 12027),
            ({"urls": ["http://a/"], "samples": [str(uuid4())]}, 12027),
            ({"urls": [{"uri": "http://a/"}]}, 12027),
            ({"urls": ["http://a/"], "other": 1}, 12027),
            ({"samples": ["7"]}, 12027),
            ({"urls": [7]}, 12027),
            (7, 12027),
            ({"urls": ["http://a/"] * 9}, 12027),
            ({"urls": [{"url": "http://a/", "face_bounding_boxes": [RECT, RECT]}]}, 11045),
            ({"urls": [{"url": "http://a/", "body_bounding_boxes": [RECT, RECT]}]}, 11045),
            ({"samples": [{"sample_id": str(uuid4()), "body_bounding_boxes": [RECT]}]}, 11047),
            ({"samples": [{"sample_id": str(uuid4()), "face_bounding_boxes": [RECT]}]}, 11047),
        ],
    )
    def test_refused(self, body: Any, code: int) -> None:
        assert code_of(read, body, "application/json") == code

    def test_boxes_of_bodies_where_faces_alone_are_looked_for(self) -> None:
        faces = Rules()
        body = {"urls": [{"url": "http://a/", "body_bounding_boxes": [RECT]}]}
        assert code_of(read, body, "application/json", faces) == 200005
        boxes = [{"filename": "a.jpg", "body_bounding_boxes": [RECT]}]
        assert code_of(read_form, image(), ("body_bounding_boxes", boxes), rules=faces) == 12039

    def test_what_cannot_be_downloaded_is_that_images_error(self) -> None:
        urls = ["http://127.0.0.1/secret", "file:///etc/passwd", f"/6/images/{uuid4()}"]
        inputs = read({"urls": urls, "meta": {"a": 1}}, "application/json")
        assert [(p.image.filename, p.error and p.error.code) for p in inputs.pictures] == [(u, 11027) for u in urls]
        assert inputs.meta == {"a": 1}

    def test_samples_of_nobody(self) -> None:
        inputs = read({"samples": [str(uuid4())]}, "application/json")
        assert inputs.pictures[0].error is not None
        assert inputs.pictures[0].error.code == 11031
        assert inputs.pictures[0].image.image_type is ImageType.FACE_WARP

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes"])
    def test_what_json_cannot_hold(self, value: Any) -> None:
        body = ormsgpack.packb({"urls": ["http://127.0.0.1/"], "meta": {"a": [value]}})
        assert code_of(read, body, "application/msgpack") == 12027

    @pytest.mark.parametrize("tail", [b"\xc0", b"\xc1", b"\r\n"])
    def test_nothing_may_follow_the_object(self, tail: bytes) -> None:
        body = ormsgpack.packb({"urls": ["http://127.0.0.1/"]})
        assert code_of(read, body + tail, "application/msgpack") == 12047
