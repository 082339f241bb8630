"""Authentication by each header, and the errors of wrong credentials."""

import base64
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from apps.accounts.auth.bearer import signature, token_decode, token_encode
from apps.accounts.config import Logins, TokenSignature
from apps.accounts.models import Account
from apps.common.config import ExternalAddress, Services, Web, config
from apps.common.errors import LunaError
from tests.api.accounts.helpers import JSON, bearer, issue
from tests.api.helpers import refused
from tests.factories import PASSWORD, basic_client, header_client, make_account

pytestmark = pytest.mark.django_db
VIEW = {"account": ["view"]}


def basic(value: str) -> Client:
    return Client(headers={"Authorization": f"Basic {base64.b64encode(value.encode()).decode()}"})


def claims_of(account: Account, token_id: Any) -> dict[str, Any]:
    return {"account_id": str(account.pk), "token_id": str(token_id)}


def test_no_credentials() -> None:
    answer = Client().get("/6/account")
    refused(answer, 403, 12010)
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.usefixtures("account_header")
def test_three_ways_in(account: Account) -> None:
    for client in (basic_client(account), issue(account, permissions=VIEW)[1], header_client(account)):
        assert client.get("/6/account").json()["account_id"] == str(account.pk)


def test_basic_wins_over_the_account_header(account: Account) -> None:
    other = make_account()
    answer = basic_client(account).get("/6/account", headers={"Luna-Account-Id": str(other.pk)})
    assert answer.json()["account_id"] == str(account.pk)
    answer = basic("no@luna.test:no").get("/6/account", headers={"Luna-Account-Id": str(other.pk)})
    refused(answer, 401, 41006)


def test_login_in_any_case(account: Account) -> None:
    assert basic(f"{account.login.upper()}:{PASSWORD}").get("/6/account").status_code == 200


@pytest.mark.parametrize("login", ["LOGIN", "nobody@luna.test", "", "nul\0@luna.test", "ü@luna.test"])
def test_wrong_password(account: Account, login: str) -> None:
    answer = basic(f"{account.login if login == 'LOGIN' else login}:wrong").get("/6/account")
    refused(answer, 401, 41006)
    assert answer.headers["WWW-Authenticate"] == "Basic realm='login:password'"


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!!!", "Basic bm9jb2xvbg==", "Basic /w==", "Digest a=b", "nonsense", "Basic é"]
)
def test_malformed_authorization(value: str) -> None:
    answer = Client(headers={"Authorization": value}).get("/6/account")
    refused(answer, 401, 11065)
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_password_with_colons_and_other_alphabets() -> None:
    password = "a:b:c ü 密码"
    body = {"login": "colon@luna.test", "password": password}
    assert Client().post("/6/accounts", body, JSON).status_code == 201
    assert basic(f"colon@luna.test:{password}").get("/6/account").status_code == 200


def test_credentials_are_remembered_without_being_kept(account: Account, redis_client: Any) -> None:
    basic_client(account).get("/6/account")
    stored = b"".join(key + (redis_client.get(key) or b"") for key in redis_client.scan_iter())
    assert b"credentials:" in stored
    assert PASSWORD.encode() not in stored
    assert account.login.encode() not in stored


@pytest.mark.usefixtures("account_header")
def test_deactivated_account_is_out_at_once(account: Account) -> None:
    clients = basic_client(account), issue(account, permissions=VIEW)[1], header_client(account)
    for client in clients:
        assert client.get("/6/account").status_code == 200
    Account.objects.update(is_active=False)
    for client, code in zip(clients, (41006, 41005, 11065), strict=True):
        refused(client.get("/6/account"), 401, code)


def test_too_many_failures_from_one_address(account: Account, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=3)
    wrong, right = basic(f"{account.login}:wrong"), basic_client(account)
    for _ in range(3):
        refused(wrong.get("/6/account"), 401, 41006)
    answer = right.get("/6/account")
    refused(answer, 429, 11065)
    assert answer.headers["Retry-After"] == "60"
    assert right.get("/6/account", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert basic_client(make_account()).get("/6/account").status_code == 200
    refused(Client().post("/6/credentials", {"login": account.login, "password": "wrong"}, JSON), 429, 11065)


def test_a_remembered_password_does_not_help_who_guesses(account: Account, configure: Callable[..., None]) -> None:
    """The rate limit applies although this process has the correct password in its cache."""
    configure(Logins, failed_logins=2)
    wrong, right = basic(f"{account.login}:wrong"), basic_client(account)
    assert right.get("/6/account").status_code == 200
    refused(wrong.get("/6/account"), 401, 41006)
    assert right.get("/6/account").status_code == 200
    refused(wrong.get("/6/account"), 401, 41006)
    for _ in range(2):
        refused(right.get("/6/account"), 429, 11065)


def test_a_remembered_password_needs_no_cache(account: Account, redis_client: Any) -> None:
    client = basic_client(account)
    assert client.get("/6/account").status_code == 200
    redis_client.flushdb()
    with patch("apps.accounts.auth.credentials.check_password", side_effect=AssertionError):
        assert client.get("/6/account").status_code == 200
    account.set_password("another password")
    account.save()
    refused(client.get("/6/account"), 401, 41006)


def test_account_header(account: Account, configure: Callable[..., None]) -> None:
    refused(header_client(account).get("/6/account"), 403, 11061)
    refused(Client(headers={"Luna-Account-Id": "7"}).get("/6/account"), 400, 11037)
    configure(Logins, allow_luna_account_auth_header=True)
    headers = {"Luna-Account-Id": str(account.pk).upper(), "Host": "localhost:5000"}
    assert Client(headers=headers).get("/6/account").status_code == 200
    for value in ("", "7", "x" * 36, f"{{{account.pk}}}", account.pk.hex):
        refused(Client(headers={"Luna-Account-Id": value}).get("/6/account"), 400, 11037)
    refused(Client(headers={**headers, "Luna-Account-Id": str(uuid4())}).get("/6/account"), 401, 11065)


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize(
    ("address", "clients", "accepted"),
    [
        ("127.0.0.9", None, True),
        ("::1", None, True),
        ("::ffff:127.0.0.1", None, True),
        ("192.0.2.7", None, False),
        ("2001:db8::1", None, False),
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("127.0.0.1", ["192.0.2.0/24"], False),
        ("2001:db8::1", ["192.0.2.0/24", "2001:db8::/32"], True),
        ("not an address", ["0.0.0.0/0", "::/0"], False),
        ("192.0.2.7", ["*"], True),
    ],
)
def test_account_header_is_for_listed_clients(
    account: Account, configure: Callable[..., None], address: str, clients: list[str] | None, accepted: bool
) -> None:
    if clients is not None:
        configure(Logins, account_header_clients=clients)
    answer = header_client(account).get("/6/account", REMOTE_ADDR=address)
    if accepted:
        assert answer.status_code == 200
    else:
        assert "LUNA_ACCOUNT_ID_HEADER_CLIENTS" in refused(answer, 403, 11061)


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("luna.localhost", True),
        ("192.0.2.7", True),
        ("luna.example", True),
        ("LUNA.EXAMPLE:8443", True),
        ("external.example", True),
        ("evil.example", False),
    ],
)
def test_account_header_is_for_listed_hosts(
    account: Account, configure: Callable[..., None], settings: Settings, host: str, accepted: bool
) -> None:
    """`*` lets requests with any `Host` in, but lists none: a page of evil.example may have resolved it to us."""
    settings.ALLOWED_HOSTS = ["*"]
    configure(Web, allowed_hosts=["*", "luna.example"])
    configure(ExternalAddress, origin="https://external.example:5000")
    answer = header_client(account).get("/6/account", headers={"Host": host})
    if accepted:
        assert answer.status_code == 200
    else:
        assert "LUNA_ALLOWED_HOSTS" in refused(answer, 403, 11061)
    answer = Client().post("/6/credentials", {"account_id": str(account.pk)}, JSON, headers={"Host": host})
    assert answer.status_code == (200 if accepted else 403)
    assert basic_client(account).get("/6/account", headers={"Host": host}).status_code == 200


def test_garbled_tokens(account: Account) -> None:
    _, _, text = issue(account, permissions=VIEW)
    head, body, tail = text.split(".")
    for garbled in ("", "a", "a.b.c", f"{head}.{body}.", f"{head}.{body}x.{tail}", f"{head}.{body}.{tail[::-1]}", "é"):
        answer = bearer(garbled).get("/6/account")
        refused(answer, 401, 11062)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_tokens(account: Account, settings: Settings) -> None:
    token_id, _, _ = issue(account, permissions=VIEW)
    claims = claims_of(account, token_id)
    key = signature().private
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = [
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "a guessed key of a proper length", algorithm="HS256"),
        jwt.encode(claims, config(Services).secret_key.get_secret_value(), algorithm="HS256"),
        jwt.encode(claims, key, algorithm="HS512"),
        jwt.encode(claims, rsa_key, algorithm="RS256"),
        jwt.encode({"account_id": str(account.pk)}, key, algorithm="HS256"),
        jwt.encode({**claims, "token_id": 7}, key, algorithm="HS256"),
        jwt.encode({**claims, "exp": datetime(2020, 1, 1, tzinfo=UTC)}, key, algorithm="HS256"),
    ]
    for text in forged:
        refused(bearer(text).get("/6/account"), 401, 11062)


def test_token_of_another_account(account: Account) -> None:
    """A signed pair that no row has: the ids of two accounts cannot be mixed."""
    token_id, _, _ = issue(account, permissions=VIEW)
    mixed = token_encode(account_id=make_account().pk, token_id=token_id)
    refused(bearer(mixed).get("/6/account"), 401, 41005)


def test_revoked_and_expired_tokens(account: Account) -> None:
    token_id, client, _ = issue(account, permissions=VIEW)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    body = {"permissions": VIEW, "expiration_time": past}
    assert client.get("/6/account").status_code == 200
    assert basic_client(account).put(f"/6/tokens/{token_id}", body, JSON).status_code == 204
    answer = client.get("/6/account")
    refused(answer, 401, 41007)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert basic_client(account).delete(f"/6/tokens/{token_id}").status_code == 204
    refused(client.get("/6/account"), 401, 41005)


def pem(key: Any, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def test_es256_and_the_change_to_it(account: Account, configure: Callable[..., None], tmp_path: Any) -> None:
    _, old, _ = issue(account, permissions=VIEW)
    file = tmp_path / "key.pem"
    file.write_text(pem(ec.generate_private_key(ec.SECP256R1()), b"open sesame"))
    configure(TokenSignature, ecdsa_key=str(file))
    configure(TokenSignature, ecdsa_key_password="open sesame")
    _, new, text = issue(account, permissions=VIEW)
    assert jwt.get_unverified_header(text)["alg"] == "ES256"
    assert new.get("/6/account").status_code == 200
    refused(old.get("/6/account"), 401, 11062)
    configure(TokenSignature, ecdsa_key=pem(ec.generate_private_key(ec.SECP256R1())))
    configure(TokenSignature, ecdsa_key_password="")
    refused(new.get("/6/account"), 401, 11062)


def openssl_key(*encryption: str) -> str:
    """A key as `openssl ecparam` writes it, with the parameters before it or encrypted in the old form."""
    made = subprocess.run(
        ["openssl", "ecparam", "-genkey", "-name", "prime256v1"], check=True, capture_output=True
    ).stdout  # fmt: skip
    if encryption:
        made = subprocess.run(
            ["openssl", "ec", "-aes256", *encryption], input=made, check=True, capture_output=True
        ).stdout  # fmt: skip
    return made.decode()


@pytest.mark.parametrize("form", ["PEM", "Base64", "file"])
@pytest.mark.parametrize("password", ["", "open sesame"])
def test_keys_in_all_forms(configure: Callable[..., None], tmp_path: Path, form: str, password: str) -> None:
    if shutil.which("openssl") is None:
        key = pem(ec.generate_private_key(ec.SECP256R1()), password.encode())
    else:
        key = openssl_key("-passout", f"pass:{password}") if password else openssl_key()
    (tmp_path / "key.pem").write_text(key)
    base64_of_key = base64.b64encode(key.encode()).decode()
    configure(TokenSignature, ecdsa_key={"PEM": key, "Base64": base64_of_key, "file": str(tmp_path / "key.pem")}[form])
    configure(TokenSignature, ecdsa_key_password=password)
    ids = {"account_id": uuid4(), "token_id": uuid4()}
    assert token_decode(token_encode(**ids)) == tuple(ids.values())


@pytest.mark.parametrize(
    "key", ["/nowhere.pem", "-----BEGIN nonsense", base64.b64encode(b"-----BEGIN x").decode(), "x"]
)
def test_keys_that_cannot_be_read(configure: Callable[..., None], key: str) -> None:
    configure(TokenSignature, ecdsa_key=key)
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        signature()


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_key_with_the_wrong_password(configure: Callable[..., None], password: str) -> None:
    configure(TokenSignature, ecdsa_key=pem(ec.generate_private_key(ec.SECP256R1()), b"right"))
    configure(TokenSignature, ecdsa_key_password=password)
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        signature()


@pytest.mark.parametrize("prefix", ["LUNA", "ACCOUNTS"])
def test_the_key_comes_from_the_environment_and_a_bad_one_stops_the_start(prefix: str) -> None:
    names = {f"{prefix}_JWT_ECDSA_KEY": "/nowhere.pem", f"{prefix}_JWT_ECDSA_KEY_PASSWORD": "p"}
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, **names, "DJANGO_SETTINGS_MODULE": "luna.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode != 0
    assert "LUNA_JWT_ECDSA_KEY cannot be read: [Errno 2] No such file or directory: '/nowhere.pem'" in started.stderr


def test_public_key_of_es256_is_no_secret_of_hs256(configure: Callable[..., None]) -> None:
    """The old trick: sign by HS256 with the public key as the secret."""
    configure(TokenSignature, ecdsa_key=pem(ec.generate_private_key(ec.SECP256R1())))
    claims = {"account_id": str(uuid4()), "token_id": str(uuid4())}
    with pytest.raises(LunaError) as refused:
        token_decode(jwt.encode(claims, "x" * 32, algorithm="HS256"))
    assert refused.value.code == 11062


def test_foreign_curve_is_refused(configure: Callable[..., None]) -> None:
    configure(TokenSignature, ecdsa_key=pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(ImproperlyConfigured):
        signature()


def test_who_asked_stands_in_the_log(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    token_id, client, _ = issue(account, permissions=VIEW)
    with caplog.at_level(logging.INFO, "apps.accounts.auth.authentication"):
        caplog.clear()
        basic_client(account).get("/6/account")
        client.get("/6/account")
        Client().get("/6/account")
        for path in ("/version", "/6/healthcheck", "/6/features"):
            client.get(path)
        client.post("/6/credentials", {}, JSON)
    lines = [record.getMessage() for record in caplog.records]
    assert str(account.pk) in lines[0]
    assert str(token_id) not in lines[0]
    assert str(account.pk) in lines[1]
    assert str(token_id) in lines[1]
    assert lines[2:] == ["Request invoked by user (account_id: null)"] * 5  # public resources ignore credentials
