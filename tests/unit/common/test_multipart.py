"""Parts of multipart bodies: where they end."""

import io

import pytest

from apps.common.api import multipart
from apps.common.api.multipart import read_parts
from apps.common.errors import LunaError

HEAD = b'Content-Disposition: form-data; name="picture"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'


def parts(body: bytes, boundary: str = "b") -> list[bytes]:
    read = read_parts(io.BytesIO(body), f"multipart/form-data; boundary={boundary}", max_part_bytes=10**6)
    return [part.data for part in read]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"ends with a line\n",
        b"ends with a line\r\n",
        b"a picture with --b",
        b"text --b--\r\n",
        b"a line\n--b",
        b"\r\n-\r\n--",
        b"x" + b"--b" * 50_000,
    ],
)
@pytest.mark.parametrize("chunk_bytes", [7, 64, multipart.CHUNK_BYTES])
def test_only_a_delimiter_at_the_start_of_a_line_ends_a_part(
    monkeypatch: pytest.MonkeyPatch, data: bytes, chunk_bytes: int
) -> None:
    if len(data) > 100 and chunk_bytes < 64:
        data = data[:300]
    monkeypatch.setattr(multipart, "CHUNK_BYTES", chunk_bytes)
    body = b"--b\r\n" + HEAD + data + b"\r\n--b\r\n" + HEAD + b"other\r\n--b--\r\n"
    assert parts(body) == [data, b"other"]


def test_text_before_and_behind_the_parts_is_no_part() -> None:
    assert parts(b"preamble\r\n--b\r\n" + HEAD + b"x\r\n--b--\r\nepilogue --b") == [b"x"]


def test_a_body_without_closing_delimiter_is_refused() -> None:
    with pytest.raises(LunaError, match="closing boundary"):
        parts(b"--b\r\n" + HEAD + b"x")
