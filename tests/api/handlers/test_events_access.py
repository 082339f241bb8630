"""Who may generate events."""

from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.faces.models import Face
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.api.handlers.requests import Count, error_of, generate
from tests.factories import client_of, make_account, token_client

pytestmark = pytest.mark.django_db


class TestAccess:
    def test_a_handler_of_another_account(self, client: Client, stored: Count) -> None:
        handler = make_handler(client_of(make_account()))
        before = stored()
        assert error_of(client.post(f"{handler}/events", astronaut(), JPEG)) == (404, 34000)
        assert error_of(client.post(f"/6/handlers/{uuid4()}/events", astronaut(), JPEG)) == (404, 34000)
        assert error_of(client.post("/6/handlers/7/events", astronaut(), JPEG)) == (404, 34000)
        assert stored() == before

    def test_tokens(self, client: Client, account: Account, stored: Count) -> None:
        handler, other = make_handler(client), make_handler(client)
        handler_id = handler.rsplit("/", 1)[1]
        before = stored()
        cases = [
            ({}, 11068),
            ({"emit_events": {"allowed": 0, "white_list": [], "black_list": []}}, 11068),
            ({"emit_events": {"allowed": 1, "white_list": [], "black_list": [handler_id]}}, 11067),
            ({"emit_events": {"allowed": 1, "white_list": [other.rsplit("/", 1)[1]], "black_list": []}}, 11067),
        ]
        for permissions, code in cases:
            token = token_client(account, **permissions)
            for path in (handler, handler.upper().replace("HANDLERS", "handlers")):
                assert error_of(token.post(f"{path}/events", astronaut(), JPEG)) == (403, code)
        assert stored() == before
        allowing: tuple[dict[str, list[str]], ...] = ({"white_list": []}, {"white_list": [handler_id]})
        for lists in allowing:
            token = token_client(account, emit_events={"allowed": 1, "black_list": [], **lists})
            for path in (handler, f"/6/handlers/{handler_id.upper()}"):
                assert len(generate(token, path, astronaut())["events"]) == 1

    def test_no_credentials(self, client: Client, stored: Count) -> None:
        handler = make_handler(client)
        before = stored()
        assert error_of(Client().post(f"{handler}/events", astronaut(), JPEG)) == (403, 12010)
        assert stored() == before
        assert Face.objects.unscoped().count() == before.faces
