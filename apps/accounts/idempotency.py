"""`Idempotency-Key` on POST: a request that is sent again gets the answer that it got, and is not done again.

The answer of a request that succeeded is kept in Redis for a day, for its account and its key. While a request is at
work its key is taken; when its process dies then, the key stays taken: nobody knows whether it was done. A request
that failed frees its key. Answers of accounts, tokens and credentials are not kept: they hold secrets. An answer is
given to the same credentials with the same rights only, for nobody asks again here what they allow.
"""

import hashlib
from typing import Any
from uuid import UUID

import orjson
import ormsgpack
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.accounts.auth.authentication import REFUSED, principal_of_headers
from apps.accounts.auth.principal import Principal
from apps.common import errors
from apps.common.addresses import ROOTS, address
from apps.common.errors import LunaError
from apps.common.middleware import GetResponse, error_response
from apps.common.redis_client import client

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = "luna:idempotency:{}:{}"
LIFETIME_S = 24 * 3600
MAX_KEY_CHARACTERS = 255
MAX_ANSWER_BYTES = 1024**2
MAX_HASHED_BYTES = 1024**2  # larger bodies are told apart by their length
SECRET_ROUTES = ("accounts", "account", "tokens", "credentials")
KEPT_HEADERS = ("Content-Type", "Location")
AT_WORK = b"at work"


class IdempotencyMiddleware:
    """Answers what was answered before; refuses a key that is used for another request (400 and INVALID_REQUEST) or
    whose request is still at work (409 and INVALID_REQUEST)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is None or request.method != "POST" or not request.path.startswith(ROOTS):
            return self.get_response(request)
        if not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
            return error_response(
                LunaError(
                    errors.INVALID_REQUEST,
                    f"header `{HEADER}` must have 1 to {MAX_KEY_CHARACTERS} printable ASCII characters",
                )
            )
        principal = client_of(request)
        if principal is None or request.path.startswith(tuple(map(address, SECRET_ROUTES))):
            return self.get_response(request)
        name = KEY.format(principal.account_id, hashlib.sha256(key.encode()).hexdigest())
        asked = fingerprint(request, principal)
        known: Any = claim(name, asked)
        return self._do(request, name, asked) if known is None else answer(known, asked)

    def _do(self, request: HttpRequest, name: str, asked: bytes) -> HttpResponseBase:
        try:
            response = self.get_response(request)
        except BaseException:
            client().delete(name)
            raise
        kept = isinstance(response, HttpResponse) and 200 <= response.status_code < 300
        if kept and len(response.content) <= MAX_ANSWER_BYTES:  # type: ignore[attr-defined]  # an HttpResponse
            client().set(name, pack(asked, response), ex=LIFETIME_S)
        elif not kept:
            client().delete(name)
        return response


def client_of(request: HttpRequest) -> Principal | None:
    """Whose request it is; None for nobody's and for wrong credentials, which the resource itself answers."""
    try:
        return principal_of_headers(request)
    except LunaError as error:
        request.META[REFUSED] = error  # so that one wrong password is not counted twice
        return None


def fingerprint(request: HttpRequest, principal: Principal) -> bytes:
    """What makes two requests the same: credentials and their rights, address, media type and body."""
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    rights = (principal.token_id, principal.verified, principal.sees_all_accounts, principal.permissions)
    digest = hashlib.sha256(orjson.dumps(rights, option=orjson.OPT_SORT_KEYS))
    digest.update("\n".join((request.get_full_path(), request.content_type or "", length)).encode())
    if length.isdigit() and int(length) <= MAX_HASHED_BYTES:
        digest.update(request.body)
    return digest.digest()


def claim(name: str, asked: bytes) -> Any:
    """Takes the key for this request: None. Else what is known of the request that has it."""
    mine = ormsgpack.packb({"asked": asked, "state": AT_WORK})
    while True:
        if client().set(name, mine, ex=LIFETIME_S, nx=True):
            return None
        value: Any = client().get(name)
        if value is not None:  # else it was freed meanwhile
            return ormsgpack.unpackb(value)


def answer(known: dict[str, Any], asked: bytes) -> HttpResponse:
    if known["asked"] != asked:
        return error_response(LunaError(errors.INVALID_REQUEST, f"header `{HEADER}` was used for another request"))
    if known.get("state") == AT_WORK:
        problem = f"the request of this {HEADER} is at work, or its outcome is not known"
        return error_response(LunaError(errors.INVALID_REQUEST, problem, status=409, headers={"Retry-After": "1"}))
    headers = {**known["headers"], REPLAYED: "true"}
    return HttpResponse(known["content"], status=known["status"], headers=headers)


def pack(asked: bytes, response: Any) -> bytes:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return ormsgpack.packb(
        {"asked": asked, "status": response.status_code, "headers": headers, "content": bytes(response.content)}
    )


def answers_forget(account_id: UUID) -> None:
    """Removes the kept answers of an account: they may name who is to be erased."""
    for name in client().scan_iter(KEY.format(account_id, "*"), count=500):
        client().delete(name)
