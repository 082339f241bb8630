"""Signatures against the example of the Standard Webhooks specification."""

import base64
from uuid import UUID

import pytest

from apps.sender.signatures import key_of, signed_headers


def test_the_key_of_a_secret() -> None:
    assert key_of("whsec_" + base64.b64encode(bytes(range(24))).decode()) == bytes(range(24))
    assert key_of("é" * 12) == "é".encode() * 12
    for wrong in ("whsec_???", "whsec_AAAA", "too short", ""):
        with pytest.raises(ValueError, match="must"):
            key_of(wrong)


def test_a_known_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed with `openssl dgst -sha256 -hmac`."""
    monkeypatch.setattr("time.time", lambda: 1700000000.9)
    callback_id = UUID("0f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b")
    headers = signed_headers(callback_id, b'{"event":{}}', "a text of at least 24 bytes")
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["webhook-signature"] == "v1,jVuPohecTMuWrxGUzsI720XcpODpqryGacrymAwgCU8="
    assert "webhook-signature" not in signed_headers(callback_id, b"", None)
