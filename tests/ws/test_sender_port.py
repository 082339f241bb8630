"""The Sender's port: websockets, and the HTTP resources of the Sender only."""

from collections.abc import Callable

import httpx
from websockets.sync.client import connect

from luna.config import Processes
from tests.ws.helpers import User, received_id


def test_the_port_has_the_resources_of_the_sender_only(port: int, user: User, configure: Callable[..., None]) -> None:
    url, ports = f"http://127.0.0.1:{port}", []
    for sender_port in (0, port):
        configure(Processes, sender_port=sender_port)
        ports.append([httpx.get(url + path).status_code for path in ("/version", "/6/faces", "/admin/login/")])
    assert ports == [[200, 403, 200], [200, 404, 404]]
    assert httpx.get(f"{url}/6/faces").json()["error_code"] == 12013
    assert httpx.post(f"{url}/6/ws/ticket", headers=user.basic).status_code == 201
    for path in ("1/ws", "6/ws"):
        with connect(f"ws://127.0.0.1:{port}/{path}", additional_headers=user.basic, proxy=None) as client:
            expected = user.publish()
            assert received_id(client) == expected
