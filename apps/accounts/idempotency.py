"""`Idempotency-Key` of POST requests: a repeated request gets the first response and is not executed again.

The response of a successful request is kept in Redis for a day per account and key (`kept_answers`). A request holds a
lease on its key while it runs. If its process dies, the lease lasts `LEASE_S`, because the outcome is unknown. A failed
request releases its key.

Responses of accounts, tokens and credentials contain secrets and are not kept. A kept response is returned only to the
same credentials with the same rights, because a replay does not check permissions again.
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
SECRET_ROUTES = ("accounts", "account", "tokens", "credentials", "admin_accounts")
KEPT_HEADERS = ("Content-Type", "Location")


class IdempotencyMiddleware:
    """Replays kept responses.

    Answers INVALID_REQUEST for a key of another request (400), and of a request that is still running (409).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None or request.method != "POST" or not request.path_info.startswith(ROOTS):
            return self.get_response(request)
        if not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
            return error_response(
                LunaError(
                    errors.INVALID_REQUEST,
                    f"header `{HEADER}` must have 1 to {MAX_KEY_CHARACTERS} printable ASCII characters",
                )
            )
        principal = client_of(request)
        if principal is None or request.path_info.startswith(tuple(map(address, SECRET_ROUTES))):
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
    """Authenticate the request. Return None without credentials, and for wrong ones, which the view rejects."""
    try:
        return principal_of_headers(request)
    except LunaError as error:
        request.META[REFUSED] = error  # so that a wrong password is counted once
        return None


def fingerprint(request: HttpRequest, principal: Principal) -> bytes:
    """Return a digest of credentials with rights, URL, media type and body, which identifies equal requests."""
    rights = (principal.token_id, principal.verified, principal.sees_all_accounts, principal.permissions)
    digest = hashlib.sha256(orjson.dumps(rights, option=orjson.OPT_SORT_KEYS))
    path = f"{request.path_info}?{request.META['QUERY_STRING']}"  # without the prefix of a proxy
    digest.update("\n".join((path, request.content_type or "", "")).encode())
    body = request.META["wsgi.input"]
    if body.seekable():
        while chunk := body.read(HASHED_CHUNK_BYTES):
            digest.update(chunk)
        body.seek(0)
    else:  # body of Django's test client
        digest.update(request.body)
    return digest.digest()


def answer(known: dict[str, Any], asked: bytes) -> HttpResponse:
    if known["asked"] != asked:
        return error_response(LunaError(errors.INVALID_REQUEST, f"`{HEADER}` was used for a different request"))
    if known.get("state") == AT_WORK:
        problem = f"the request with this `{HEADER}` is running, or its outcome is unknown"
        return error_response(LunaError(errors.INVALID_REQUEST, problem, status=409, headers={"Retry-After": "1"}))
    headers = {**known["headers"], REPLAYED: "true"}
    if known["content"] is None:
        problem = (
            f"the request with this `{HEADER}` was answered with {known['status']}; the response is too large to keep"
        )
        return error_response(LunaError(errors.INVALID_REQUEST, problem, status=410, headers=headers))
    return HttpResponse(known["content"], status=known["status"], headers=headers)


def outcome(asked: bytes, response: HttpResponseBase) -> dict[str, Any]:
    """Return the data to keep of a successful response; `content` is None for a large one."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    content = response.content if isinstance(response, HttpResponse) else None
    if content is None or len(content) > MAX_ANSWER_BYTES:
        content = None
        headers.pop("Content-Type", None)
    return {"asked": asked, "status": response.status_code, "headers": headers, "content": content}
