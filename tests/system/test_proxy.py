"""nginx in front of the platform, as docs/operations.md configures it: prefix, TLS, websocket.

A browser and a client walk from the start page to the notification of an event, and follow each address they get.
"""

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import connect

from luna.embedded.addresses import CHECKOUT
from luna.embedded.processes import wait_until
from tests.api.handlers.helpers import astronaut
from tests.certificates import make_certificate
from tests.ports import free_port
from tests.system.helpers import ADMIN_LOGIN, Platform, started

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
OPERATIONS = CHECKOUT / "docs" / "operations.md"
PREFIX = "/luna"
PASSWORD = "correct horse battery"
# What the documented server block leaves to the system's nginx.conf, in a directory that the test may write.
MAIN = """\
daemon off;
pid {directory}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{server}
}}
"""

pytestmark = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed (Debian, Ubuntu: apt install nginx-light)"
)


@dataclass(frozen=True)
class Proxied:
    """The platform, its address behind nginx, and the certificate of nginx."""

    platform: Platform
    url: str
    certificate: Path

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(verify=self.tls, timeout=60, **options)


def documented_server() -> str:
    """The server block of docs/operations.md."""
    block = re.search(r"^```nginx\n(.*?)^```$", OPERATIONS.read_text(encoding="utf-8"), re.M | re.S)
    assert block is not None
    return block[1]


@pytest.fixture(scope="module", params=["removes the prefix", "keeps the prefix"])
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """nginx as documented, which removes the prefix and names it in a header; and nginx that passes paths unchanged."""
    directory = tmp_path_factory.mktemp("nginx")
    port, tls_port = free_port(), free_port()
    certificate, key = make_certificate(directory)
    server = documented_server()
    replacements = {
        "listen 443 ssl;": f"listen 127.0.0.1:{tls_port} ssl;",
        "luna.example": "127.0.0.1",
        "/etc/ssl/luna.pem": str(certificate),
        "/etc/ssl/luna.key": str(key),
        "127.0.0.1:5000": f"127.0.0.1:{port}",
    }
    origin = f"https://127.0.0.1:{tls_port}"
    external = origin
    if request.param == "keeps the prefix":
        replacements |= {f"{port}/;": f"{port};", "proxy_set_header X-Forwarded-Prefix /luna;": ""}
        external = origin + PREFIX
    for old, new in replacements.items():
        assert old in server, f"docs/operations.md has no {old!r}"
        server = server.replace(old, new)
    (directory / "nginx.conf").write_text(MAIN.format(directory=directory, server=server))
    environment = {
        "LUNA_PORT": str(port),
        "LUNA_EXTERNAL_ADDRESS": external,
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
        "LUNA_OPEN_REGISTRATION": "1",
    }
    with started(**environment) as platform, running_nginx(directory, tls_port):
        yield Proxied(platform, origin + PREFIX, certificate)


class running_nginx:  # noqa: N801 - used like a function
    """nginx with the configuration of a directory, as an ordinary process of the test."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port

    def __enter__(self) -> None:
        log = self.directory / "log"
        command = [str(NGINX), "-p", str(self.directory), "-c", str(self.directory / "nginx.conf"), "-e", str(log)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        listens = wait_until(lambda: (self.directory / "pid").exists() or self.process.poll() is not None, 10)
        assert listens, log.read_text()
        assert self.process.poll() is None, log.read_text()

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)


def follow(client: httpx.Client, page: httpx.Response) -> None:
    """Every file, page and form that a page of the platform names is reached behind the proxy."""
    origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
    for attribute, address in set(re.findall(r'(href|src|action)="([^"#][^"]*)"', page.text)):
        if address.startswith(("data:", "?", "http")):
            continue
        target = urljoin(str(page.url), address)
        assert target.startswith(f"{origin}{PREFIX}/"), f"{page.url} leads to {target}"
        if attribute != "action":
            answer = client.get(target, follow_redirects=True)
            assert answer.status_code == 200, f"{page.url} leads to {target}: {answer.status_code}"


def test_a_browser(proxied: Proxied) -> None:
    with proxied.client(headers={"Accept": "text/html"}) as browser:
        start = browser.get(proxied.url, follow_redirects=True)
        assert (start.status_code, start.url.path) == (200, f"{PREFIX}/")
        follow(browser, start)
        follow(browser, browser.get(f"{proxied.url}/docs", follow_redirects=True))

        login = browser.get(f"{proxied.url}/admin", follow_redirects=True)
        assert login.url.path == f"{PREFIX}/admin/login/"
        follow(browser, login)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', login.text)
        assert token is not None
        form = {
            "csrfmiddlewaretoken": token[1],
            "username": ADMIN_LOGIN,
            "password": proxied.platform.admin_password,
            "next": f"{PREFIX}/admin/",
        }
        answer = browser.post(str(login.url), data=form, headers={"Origin": proxied.url.removesuffix(PREFIX)})
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{PREFIX}/admin/"), answer.text
        assert {(cookie.path, cookie.secure) for cookie in browser.cookies.jar} == {(f"{PREFIX}/", True)}
        assert "max-age=" in answer.headers["Strict-Transport-Security"], "the platform knows of TLS"
        page = browser.get(urljoin(str(answer.url), answer.headers["Location"]))
        assert page.status_code == 200
        follow(browser, page)
        follow(browser, browser.get(f"{proxied.url}/admin/faces/face/"))


def test_a_client(proxied: Proxied) -> None:
    """From the account to the event, by `Location` and `external_url` alone."""
    login = f"{uuid4()}@luna.test"
    with proxied.client(auth=(login, PASSWORD)) as client:

        def created(path: str, **request: Any) -> Any:
            answer = client.post(f"{proxied.url}{path}", **request)
            assert answer.status_code == 201, answer.text
            body = answer.json()
            location = urljoin(str(answer.url), answer.headers["Location"])
            assert location == body["external_url"] == f"{proxied.url}{body['url']}"
            assert client.get(location).status_code == 200
            return body

        created("/6/accounts", json={"login": login, "password": PASSWORD}, auth=None)
        list_id = created("/6/lists", json={"user_data": "guests"})["list_id"]
        storage = {"face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]}}
        handler = created("/6/handlers", json={"description": "gate", "policies": {"storage_policy": storage}})

        credentials = httpx.BasicAuth(login, PASSWORD)._auth_header
        with connect(
            f"{proxied.url.replace('https', 'wss')}/6/ws",
            ssl=proxied.tls,
            additional_headers={"Authorization": credentials},
        ) as events:
            answer = client.post(
                f"{handler['external_url']}/events", content=astronaut(), headers={"Content-Type": "image/jpeg"}
            )
            assert answer.status_code == 201, answer.text
            notification = str(events.recv(timeout=20))
        (event,) = answer.json()["events"]
        assert event["event_id"] in notification
        links = set(re.findall(r'"external_url":\s*"([^"]+)"', answer.text + notification))
        assert len(links) >= 3, "the event, its face and its sample"
        for link in links:
            assert link.startswith(f"{proxied.url}/6/")
            assert client.get(link).status_code == 200, link

        error = client.get(f"{proxied.url}/6/faces/{uuid4()}").json()
        assert error["link"].startswith(f"{proxied.url}/docs/errors#")
        assert client.get(error["link"]).status_code == 200


def test_a_client_of_the_openapi_document(proxied: Proxied) -> None:
    with proxied.client() as client:
        document = client.get(f"{proxied.url}/docs/spec", headers={"Accept": "application/json"}).json()
        servers = [urljoin(proxied.url, each["url"]) for each in document["servers"]]
        assert servers == [proxied.url, proxied.url]
        for server in servers:
            assert client.get(f"{server}/6/version").status_code == 200


def test_only_the_proxy_is_trusted(proxied: Proxied) -> None:
    """The client's own headers do not reach the platform: nginx replaces them."""
    forged = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    with proxied.client(headers=forged) as client:
        error = client.get(f"{proxied.url}/6/nowhere").json()
        assert urlsplit(error["link"]).path == f"{PREFIX}/docs/errors"
        assert client.get(f"{proxied.url}/admin/").headers["Location"].startswith(f"{PREFIX}/admin/login/")
