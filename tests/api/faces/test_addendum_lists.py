"""Filters that clients that others wrote use on lists."""

import pytest
from django.test import Client

from tests.factories import client_of, make_account

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["create_time", "last_update_time"])
def test_lists_and_their_count_are_filtered_by_times(name: str) -> None:
    client: Client = client_of(make_account())
    client.post("/6/lists", {}, "application/json")
    for query, number in (
        (f"{name}__gte=now-1h", 1),
        (f"{name}__lt=now-1h", 0),
        (f"{name}__lt=2100-01-01T00:00:00Z", 1),
    ):
        assert len(client.get(f"/6/lists?{query}").json()["lists"]) == number
        assert client.get(f"/6/lists/count?{query}").json() == {"lists_count": number}
    assert client.get(f"/6/lists?{name}__gte=yesterday").json()["error_code"] == 12012
