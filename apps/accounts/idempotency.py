"""`Idempotency-Key` on POST: a request that is sent again gets the answer that it got, and is not done again.

The answer of a request that succeeded is kept in Redis for a day, for its account and its key (`kept_answers`). While a
request is at work its key is taken; when its process dies then, the key stays taken for `LEASE_S`: nobody knows whether
it was done. A request that failed frees its key. Answers of accounts, tokens and credentials are not kept: they hold
secrets. An answer is given to the same credentials with the same rights only, for nobody asks again here what they
allow.
"""

import hashlib
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.accounts.auth.authentication import REFUSED, principal_of_headers
from apps.accounts.auth.principal import Principal
from apps.accounts.kept_answers import AT_WORK, Claim
from apps.common import errors
from apps.common.addresses import ROOTS, address
from apps.common.errors import LunaError
from apps.common.middleware import GetResponse, error_response
from apps.common.redis_client import RedisAwayError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY_CHARACTERS = 255
MAX_ANSWER_BYTES = 1024**2
HASHED_CHUNK_BYTES = 1024**2
SECRET_ROUTES = ("accounts", "account", "tokens", "credentials")
KEPT_HEADERS = ("Content-Type", "Location")


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
        claim = Claim(principal.account_id, hashlib.sha256(key.encode()).hexdigest())
        asked = fingerprint(request, principal)
        try:
            known = claim.take(asked)
        except RedisAwayError as error:
            return error_response(error)
        return self._do(request, claim, asked) if known is None else answer(known, asked)

    def _do(self, request: HttpRequest, claim: Claim, asked: bytes) -> HttpResponseBase:
        try:
            response = self.get_response(request)
        except BaseException:
            claim.free()
            raise
        if 200 <= response.status_code < 300:
            claim.keep(outcome(asked, response))
        else:
            claim.free()
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
    rights = (principal.token_id, principal.verified, principal.sees_all_accounts, principal.permissions)
    digest = hashlib.sha256(orjson.dumps(rights, option=orjson.OPT_SORT_KEYS))
    digest.update("\n".join((request.get_full_path(), request.content_type or "", "")).encode())
    body = request.META["wsgi.input"]
    if body.seekable():
        while chunk := body.read(HASHED_CHUNK_BYTES):
            digest.update(chunk)
        body.seek(0)
    else:  # of Django's test client
        digest.update(request.body)
    return digest.digest()


def answer(known: dict[str, Any], asked: bytes) -> HttpResponse:
    if known["asked"] != asked:
        return error_response(LunaError(errors.INVALID_REQUEST, f"header `{HEADER}` was used for another request"))
    if known.get("state") == AT_WORK:
        problem = f"the request of this {HEADER} is at work, or its outcome is not known"
        return error_response(LunaError(errors.INVALID_REQUEST, problem, status=409, headers={"Retry-After": "1"}))
    headers = {**known["headers"], REPLAYED: "true"}
    if known["content"] is None:
        problem = (
            f"the request of this {HEADER} was answered with {known['status']}; the answer is too large to be kept"
        )
        return error_response(LunaError(errors.INVALID_REQUEST, problem, status=410, headers=headers))
    return HttpResponse(known["content"], status=known["status"], headers=headers)


def outcome(asked: bytes, response: HttpResponseBase) -> dict[str, Any]:
    """What is kept of a request that succeeded; `content` is None for a large answer."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    content = response.content if isinstance(response, HttpResponse) else None
    if content is None or len(content) > MAX_ANSWER_BYTES:
        content = None
        headers.pop("Content-Type", None)
    return {"asked": asked, "status": response.status_code, "headers": headers, "content": content}
