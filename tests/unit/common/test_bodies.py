"""Compressed, packed and broken request bodies."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import orjson
import ormsgpack
import pytest
from django.test import Client
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.common.api.parsers import MAX_LEVELS, json_decode, msgpack_decode
from apps.common.config import Http
from apps.common.errors import LunaError
from apps.common.fields import CommaListField, FlagField, WholeNumberField, parse_uuid, uuid_list
from apps.common.filters.kinds import FiniteFloatField
from apps.common.validation import StrictSerializer, checked_data
from tests.api.accounts.helpers import JSON
from tests.api.helpers import refused

CREDENTIALS = {"login": "nobody@luna.test"}  # answered with 12016: the body was read and understood
BODY = orjson.dumps(CREDENTIALS)
GZIP = {"Content-Encoding": "gzip"}
DEFLATE = {"Content-Encoding": "deflate"}


def send(body: bytes, headers: dict[str, str], content_type: str = JSON) -> Any:
    return Client().post("/6/credentials", body, content_type, headers=headers)


def bare_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, {"Content-Encoding": "identity"}),
        (gzip.compress(BODY), GZIP),
        (gzip.compress(BODY), {"Content-Encoding": " GZip "}),
        (zlib.compress(BODY), DEFLATE),
        (bare_deflate(BODY), DEFLATE),
        (gzip.compress(BODY[:-1] + b" " * 300_000 + BODY[-1:]), GZIP),
        (gzip.compress(BODY[:9]) + gzip.compress(b"") + gzip.compress(BODY[9:]), GZIP),
        (b"".join(gzip.compress(BODY[at : at + 1]) for at in range(len(BODY))) + gzip.compress(b" " * 300_000), GZIP),
        (gzip.compress(BODY, 0) + b"".join([gzip.compress(b" " * 9)] * 9_000), GZIP),  # members across chunks
    ],
)
def test_understood(body: bytes, headers: dict[str, str]) -> None:
    refused(send(body, headers), 400, 12016)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", GZIP, 400, 12044),
        (BODY, GZIP, 400, 12044),
        (gzip.compress(BODY)[:-3], GZIP, 400, 12044),
        (zlib.compress(BODY), GZIP, 400, 12044),
        (b"\x78", DEFLATE, 400, 12045),
        (BODY, DEFLATE, 400, 12045),
        (zlib.compress(BODY)[:-3], DEFLATE, 400, 12045),
        (gzip.compress(BODY) + b"more", GZIP, 400, 12044),
        (gzip.compress(BODY) + gzip.compress(BODY)[:-3], GZIP, 400, 12044),
        (zlib.compress(BODY) + b"more", DEFLATE, 400, 12045),
        (zlib.compress(BODY[:9]) + zlib.compress(BODY[9:]), DEFLATE, 400, 12045),
        (bare_deflate(BODY) + b" " * 100_000, DEFLATE, 400, 12045),
        (BODY, {"Content-Encoding": "br"}, 415, 12024),
        (gzip.compress(gzip.compress(BODY)), {"Content-Encoding": "gzip, gzip"}, 415, 12024),
    ],
)
def test_refused(body: bytes, headers: dict[str, str], status: int, code: int) -> None:
    refused(send(body, headers), status, code)


@pytest.mark.parametrize("size", [1, 2, 65_535, 65_536, 65_537, 65_700, 131_072, 131_073, 131_330])
@pytest.mark.parametrize("pack", [bare_deflate, zlib.compress, gzip.compress])
def test_the_end_of_a_stream_is_not_lost(pack: Callable[[bytes], bytes], size: int) -> None:
    """Its last bytes may stand for a few hundred of the body, on either side of the border between two chunks."""
    body = BODY + b" " * (size - len(BODY))
    refused(send(pack(body), GZIP if pack is gzip.compress else DEFLATE), 400, 12016)


@hypothesis_settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from([GZIP, DEFLATE]))
def test_any_bytes_get_an_answer(body: bytes, headers: dict[str, str]) -> None:
    assert send(body, headers).status_code == 400


def test_bomb_costs_little(configure: Callable[..., None]) -> None:
    """A thousandfold: 200 MB of zeros in 200 kB stop at the limit without being held in memory."""
    configure(Http, request_max_size=64 * 1024**2)
    bomb = gzip.compress(bytes(200 * 1024**2), 9)
    tracemalloc.start()
    try:
        answer = send(bomb, GZIP)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    refused(answer, 413, 37003)
    assert peak_bytes < 16 * 1024**2


def test_messagepack() -> None:
    packed = "application/msgpack"
    refused(send(ormsgpack.packb(CREDENTIALS), {}, packed), 400, 12016)
    for broken in (b"\xc1", ormsgpack.packb(CREDENTIALS)[:-1], b"\x91" * 5000, b"\xa1\xff", b"\xd6\xff" + bytes(4)):
        refused(send(broken, {}, packed), 400, 12047)
    for tail in (b"\x00", b"\xc1", b"\n", ormsgpack.packb(CREDENTIALS)):
        refused(send(ormsgpack.packb(CREDENTIALS) + tail, {}, packed), 400, 12047)
    answer = send(BODY, {"Accept": packed})
    assert answer.headers["Content-Type"] == packed
    assert ormsgpack.unpackb(answer.content)["error_code"] == 12016


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[" * 5000,
        b'{"login": NaN}',
        b'"\xed\xa0\x80"',
        b"{}{}",
        b"'a'",
        BODY.decode().encode("utf-16")[:-2],
    ],
)
def test_broken_json(body: bytes) -> None:
    refused(send(body, {}), 400, 12002)


def test_no_body() -> None:
    refused(send(b"", {}), 400, 12002)


def test_json_has_a_limit_of_its_own(configure: Callable[..., None]) -> None:
    configure(Http, json_max_size=100)
    refused(send(b" " * 101, {}), 413, 37003)


class Query(StrictSerializer):
    flag = FlagField(required=False)
    names = CommaListField(required=False)
    ids = uuid_list()


class Numbers(StrictSerializer):
    whole = WholeNumberField(required=False)
    real = FiniteFloatField(required=False)


@pytest.mark.parametrize("name", ["whole", "real"])
def test_numbers(name: str) -> None:
    for value in (12, "12", " 12 ", 12.0, "+12"):
        assert checked_data(Numbers, {name: value})[name] == 12
    wrong: Any
    for wrong in (True, False, "true", "\u0661\u0662", "1_2", "\uff11", "", "x", [], {}, "nan", "1e999"):
        with pytest.raises(LunaError) as error:
            checked_data(Numbers, {name: wrong})
        assert error.value.code == 12027


@pytest.mark.parametrize(("value", "flag"), [(0, False), (1, True), ("1", True), (True, True), (False, False)])
def test_flags(value: object, flag: bool) -> None:
    assert checked_data(Query, {"flag": value})["flag"] is flag


@pytest.mark.parametrize("value", [2, -1, "5", "yes", "", [], 0.5])
def test_no_flags(value: object) -> None:
    with pytest.raises(LunaError) as error:
        checked_data(Query, {"flag": value})
    assert error.value.code == 12027


def test_comma_lists() -> None:
    assert checked_data(Query, {"names": " a, b,,c "})["names"] == ["a", "b", "c"]
    with pytest.raises(LunaError, match=r"'ids\.1'"):
        checked_data(Query, {"ids": "8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a,7"})


@pytest.mark.parametrize("data", [{"more": 1}, {"flag": 1, 7: 1, "z": 2}])
def test_unknown_keys(data: dict[object, int]) -> None:
    with pytest.raises(LunaError, match="Additional properties"):
        checked_data(Query, data)


@pytest.mark.parametrize(
    "text", ["", "7", None, 7, "8b8b59372e9c4e8ba7a75caf86621b5a", "{8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a}"]
)
def test_uuids_have_one_form(text: object) -> None:
    assert parse_uuid(text) is None


@given(st.uuids())
def test_uuids_in_any_case(value: Any) -> None:
    assert parse_uuid(str(value)) == parse_uuid(str(value).upper()) == value


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(
    ("levels", "code"), [(MAX_LEVELS, None), (MAX_LEVELS + 1, 12027), (1000, 12027), (9000, 12002)]
)
def test_nested_json(opened: str, closed: str, levels: int, code: int | None) -> None:
    body = (opened * levels + "1" + closed * levels).encode()
    if code is None:
        json_decode(body)
        return
    with pytest.raises(LunaError) as caught:
        json_decode(body)
    assert caught.value.code == code


def test_nested_messagepack() -> None:
    msgpack_decode(b"\x91" * MAX_LEVELS + b"\x01")
    with pytest.raises(LunaError) as caught:
        msgpack_decode(b"\x91" * (MAX_LEVELS + 1) + b"\x01")
    assert caught.value.code == 12047
