"""Signed files of licences: written, read, forged, cut, of other issuers and versions."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.licenses.document import Feature, Grant, LicenseError, license_read, license_write
from tests.licenses import KEY, NO, counted, make_license, public


def signed(content: Any, key: Ed25519PrivateKey = KEY) -> str:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    file = {"license": base64.b64encode(payload).decode(), "signature": base64.b64encode(key.sign(payload)).decode()}
    return json.dumps(file)


def content_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(text)["license"]))
    return found


def test_a_licence_is_read_as_it_was_written() -> None:
    license = make_license(
        {Feature.FACES: counted(1000), Feature.LIVENESS: counted(16_777_215), Feature.DEEPFAKE: NO},
        installation_id=uuid4(),
    )
    assert license_read(license_write(license, KEY), [public()]) == license
    forever = make_license(expires_at=None)
    assert license_read(license_write(forever, KEY), [public(Ed25519PrivateKey.generate()), public()]) == forever
    assert not forever.is_expired(datetime(2999, 1, 1, tzinfo=UTC))


def test_expiry_is_exact() -> None:
    expiry = datetime(2027, 1, 1, tzinfo=UTC)
    license = make_license(expires_at=expiry)
    assert license.is_expired(expiry)
    assert not license.is_expired(expiry.replace(year=2026, month=12, day=31, hour=23))


def test_every_changed_byte_is_detected() -> None:
    content = content_of(license_write(make_license({Feature.FACES: counted(10)}), KEY))
    content["features"]["faces"] = 10_000
    forged = json.loads(license_write(make_license(), KEY)) | {
        "license": base64.b64encode(json.dumps(content).encode()).decode()
    }
    for text in (json.dumps(forged), signed(content, Ed25519PrivateKey.generate())):
        with pytest.raises(LicenseError, match="signature is not valid"):
            license_read(text, [public()])
    with pytest.raises(LicenseError, match="signature is not valid"):
        license_read(license_write(make_license(), KEY), [])


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "\0", '{"license": 1, "signature": 2}', '{"license": "!", "signature": "!"}',
     "[" * 60_000, '{"license": "ä", "signature": "ä"}'],
)  # fmt: skip
def test_a_file_that_is_no_licence(text: str) -> None:
    with pytest.raises(LicenseError, match="not a licence"):
        license_read(text, [public()])


def test_a_file_that_is_too_long() -> None:
    with pytest.raises(LicenseError, match="over 65536 characters"):
        license_read("x" * 65_537, [public()])


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"version": "1"}, {"license_id": "x"}, {"license_id": None}, {"licensee": 5},
     {"licensee": "a\x00b"}, {"licensee": "x" * 257}, {"issued_at": "soon"}, {"issued_at": "2026-01-01T00:00:00"},
     {"expires_at": 5}, {"installation_id": "here"}, {"features": []}, {"features": None}],
)  # fmt: skip
def test_a_signed_file_with_wrong_content(change: dict[str, Any]) -> None:
    content = content_of(license_write(make_license(), KEY)) | change
    with pytest.raises(LicenseError, match=r"the licence (is damaged|has version)"):
        license_read(signed(content), [public()])
    for payload in (b"", b"[]", b"\xff", json.dumps(list(content)).encode()):
        with pytest.raises(LicenseError, match="damaged"):
            license_read(signed(payload), [public()])


@pytest.mark.parametrize(
    ("feature", "value"),
    [("faces", -1), ("faces", True), ("faces", 1.5), ("faces", "10"), ("faces", None), ("liveness", 16_777_216),
     ("deepfake", 2), ("deepfake", "unlimited"), ("iso", True)],
)  # fmt: skip
def test_values_that_this_release_cannot_read_grant_nothing(feature: str, value: Any) -> None:
    content = content_of(license_write(make_license(), KEY))
    content["features"][feature] = value
    content["features"]["teleport"] = 1  # of a later release
    found = license_read(signed(content), [public()]).features
    assert found[Feature(feature)] == Grant(available=False, readable=False)
    assert set(found) == set(Feature)
