"""Requests of pages of other sites with the password that a browser has stored."""

from typing import Any

import pytest

from apps.accounts.models import Account
from apps.common.config import Web
from tests.api.accounts.helpers import issue
from tests.api.helpers import refused
from tests.factories import basic_client

pytestmark = pytest.mark.django_db


def test_forms_of_other_sites_cannot_use_a_stored_password(account: Account, configure: Any) -> None:
    """A browser adds a stored password to each form; it asks the platform first for all other requests."""
    configure(Web, csrf_trusted_origins=["https://desk.example"])
    sent = (("multipart/form-data; boundary=b", b"--b--\r\n"), ("text/plain", b"x"), ("application/json", b"{}"))
    for origin, is_foreign in (
        ("http://evil.example", True),
        ("null", True),
        ("http://testserver:81", True),
        ("http://testserver", False),
        ("https://desk.example", False),
        (None, False),
    ):
        for media_type, body in sent:
            answer = basic_client(account).post(
                "/6/objects", body, media_type, headers={"Origin": origin} if origin else {}
            )
            if is_foreign and media_type != "application/json":
                refused(answer, 403, 12033)
            else:
                assert answer.status_code == 201, answer.content
    _, by_token, _ = issue(account, permissions={"object": ["creation"]})
    assert by_token.post("/6/objects", b"x", "text/plain", headers={"Origin": "null"}).status_code == 201
