"""Ports of services: each has the resources of its service only. The Sender's is tested with its websockets, too."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import Account
from luna.config import Processes
from luna.embedded.listeners import SERVICES

pytestmark = pytest.mark.django_db

PORT = 5010
PATHS = ("/version", "/healthcheck", "/6/faces", "/admin/login/", "/docs/errors", "/", "/6/features")
EVERYTHING = [200, 200, 403, 200, 200, 200, 200]
APIS = {"admin": 4, "configurator": 1, "sender": 1}
ANSWERS = {
    "admin": [200, 200, 404, 200, 200, 302, 404],
    "configurator": [200, 200, 404, 200, 200, 302, 404],
    "sender": [200, 200, 404, 404, 404, 404, 404],
}


def answers(port: int) -> list[int]:
    return [Client().get(path, SERVER_PORT=str(port)).status_code for path in PATHS]


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_has_the_resources_of_its_service_only(configure: Callable[..., None], service: str) -> None:
    assert answers(PORT) == EVERYTHING
    configure(Processes, **{f"{service}_port": PORT})
    assert answers(PORT) == ANSWERS[service]
    assert answers(5000) == EVERYTHING, "the main port keeps all resources"
    assert Client().get("/6/faces", SERVER_PORT=str(PORT)).json()["error_code"] == 12013
    version = {"major": 5, "minor": 67, "patch": 0}
    assert Client().get("/version", SERVER_PORT=str(PORT)).json() == {"Version": {"api": APIS[service], **version}}


def test_all_services_have_ports_at_the_same_time(configure: Callable[..., None]) -> None:
    ports = {name: 5001 + place for place, name in enumerate(SERVICES)}
    configure(Processes, **{f"{name}_port": port for name, port in ports.items()})
    assert {name: answers(port) for name, port in ports.items()} == ANSWERS


def test_the_port_of_the_admin_leads_to_the_site(configure: Callable[..., None], admin: Account) -> None:
    configure(Processes, admin_port=PORT)
    client = Client()
    assert client.get("/", SERVER_PORT=str(PORT)).headers["Location"] == "/admin/"
    client.force_login(admin)
    assert client.get("/admin/", SERVER_PORT=str(PORT)).status_code == 200
    missing = client.get("/admin/missing/", SERVER_PORT=str(PORT))
    assert missing.status_code == 404
    assert "This page does not exist" in missing.content.decode()
