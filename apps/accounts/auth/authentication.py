"""Authentication of requests by Basic, Bearer or `Luna-Account-Id`, in this order of precedence.

Wrong credentials are answered with 401 and a challenge, missing ones with 403. Both are `LunaError`, because DRF would
rewrite its own exceptions.
"""

import base64
import binascii
import logging

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.accounts import selectors
from apps.accounts.auth.bearer import token_decode
from apps.accounts.auth.credentials import password_verify
from apps.accounts.auth.principal import Principal
from apps.accounts.choices import VisibilityArea
from apps.accounts.config import Logins
from apps.accounts.models import Token
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.hosts import check_origin, is_listed
from apps.common.networks import is_within, parse_address
from apps.common.times import utc_now

logger = logging.getLogger(__name__)

ACCOUNT_HEADER = "Luna-Account-Id"
REFUSED = "luna.refused"  # key in request.META: the error of credentials that middleware has checked already
# Media types that pages may send to any site; browsers ask a site before all others, methods other than POST included.
FORMS = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
BASIC_CHALLENGE = "Basic realm='login:password'"
BEARER_CHALLENGE = "Bearer"


def unauthorized(error: LunaError, challenge: str) -> LunaError:
    """Add the challenge to an error with status 401 and return the error."""
    if error.status == 401:
        error.headers = {**error.headers, "WWW-Authenticate": challenge}
    return error


class LunaAuthentication(BaseAuthentication):
    """The authentication of all API resources; the websocket uses the same `principal_of`."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        principal = self.principal(request)
        if principal is None:
            return None
        log_invoker(principal)
        return principal, None

    def principal(self, request: HttpRequest | Request) -> Principal | None:
        """Return the principal of a request. Raises the errors of `principal_of`."""
        if REFUSED in request.META:
            raise request.META[REFUSED]
        return principal_of_headers(request)

    def authenticate_header(self, request: Request) -> str:
        return BASIC_CHALLENGE


def remote_address(request: HttpRequest | Request) -> str | None:
    """Return the client's address from the server. Forwarding headers of untrusted clients are ignored."""
    return parse_address(request.META.get("REMOTE_ADDR"))


def nobody() -> None:
    """Log a request without credentials. DRF calls it to create the anonymous user, which is None."""
    logger.info("Request invoked by user (account_id: null)")


def log_invoker(principal: Principal) -> None:
    if principal.token_id is None:
        logger.info("Request invoked by user (account_id: '%s')", principal.account_id)
    else:
        logger.info(
            "Request invoked by user (account_id: '%s' token_id: '%s')", principal.account_id, principal.token_id
        )


def principal_of_headers(request: HttpRequest | Request) -> Principal | None:
    """Return the principal of an HTTP request, as `principal_of` does.

    Raises LunaError ACCESS_DENIED for a form of another site's page: the browser adds the password that it has stored.
    """
    authorization = request.META.get("HTTP_AUTHORIZATION")
    if request.method == "POST" and _is_basic(authorization) and _media_type(request) in FORMS:
        check_origin(request.META.get("HTTP_ORIGIN"), request.get_host())
    return principal_of(
        authorization=authorization,
        account_header=request.META.get("HTTP_LUNA_ACCOUNT_ID"),
        address=remote_address(request),
        host=request.META.get("HTTP_HOST", ""),
    )


def _is_basic(authorization: str | None) -> bool:
    return authorization is not None and authorization.lstrip()[:5].lower() == "basic"


def _media_type(request: HttpRequest | Request) -> str:
    return str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()


def principal_of(
    *, authorization: str | None, account_header: str | None, address: str | None, host: str
) -> Principal | None:
    """Authenticate a client by its headers, its address and the host that it names. Return None without credentials.

    Raises LunaError WRONG_CREDENTIALS, AUTHORIZATION_FAILED, TOKEN_CORRUPTED, JWT_NOT_FOUND, TOKEN_EXPIRED for wrong
    ones, BAD_ACCOUNT_ID_HEADER and ACCOUNT_ID_HEADER_DISABLED for the account header.
    """
    if authorization:
        scheme, _, value = authorization.strip().partition(" ")
        if scheme.lower() == "basic":
            return basic_principal(value.strip(), address)
        if scheme.lower() == "bearer":
            return bearer_principal(value.strip())
        raise unauthorized(
            LunaError(errors.AUTHORIZATION_FAILED, "the `Authorization` header must use Basic or Bearer"),
            BASIC_CHALLENGE,
        )
    if account_header is not None:
        return header_principal(account_header, address, host)
    return None


def basic_principal(value: str, address: str | None) -> Principal:
    """Authenticate `base64(login:password)`. Raises LunaError WRONG_CREDENTIALS, AUTHORIZATION_FAILED."""
    try:
        login, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        problem = LunaError(errors.AUTHORIZATION_FAILED, "the Basic credentials are not Base64 of login:password")
        raise unauthorized(problem, BASIC_CHALLENGE) from error
    try:
        if not colon:
            raise LunaError(errors.AUTHORIZATION_FAILED, "the Basic credentials are not Base64 of login:password")
        account = password_verify(login=login, password=password, address=address)
    except LunaError as error:
        raise unauthorized(error, BASIC_CHALLENGE) from error
    return Principal(
        account_id=account.account_id,
        account_type=account.account_type,
        login=account.login,
        visibility_area=VisibilityArea.ALL,
        password_hash=account.password,
    )


def bearer_principal(value: str) -> Principal:
    """Authenticate a JWT.

    Raises LunaError TOKEN_CORRUPTED (malformed or wrong signature), JWT_NOT_FOUND (deleted), TOKEN_EXPIRED (expired).
    """
    try:
        account_id, token_id = token_decode(value)
        token = selectors.token_find(token_id)
        if token is None or token.account_id != account_id or not token.account.is_active or not is_trusted(token):
            raise LunaError(errors.JWT_NOT_FOUND)
        if token.expiration_time is not None and token.expiration_time <= utc_now():
            raise LunaError(errors.TOKEN_EXPIRED)
    except LunaError as error:
        raise unauthorized(error, BEARER_CHALLENGE) from error
    account = token.account
    return Principal(
        account_id=account_id,
        account_type=account.account_type,
        login=account.login,
        token_id=token_id,
        permissions=token.permissions,
        visibility_area=token.visibility_area,
    )


def is_trusted(token: Token) -> bool:
    """Return whether a token was created or replaced with a password.

    Tokens of older releases may have been created by `Luna-Account-Id` alone. They are valid while it is enabled.
    """
    return token.by_password or config(Logins).allow_luna_account_auth_header


def header_principal(value: str, address: str | None, host: str) -> Principal:
    """Identify a client by `Luna-Account-Id`. Its scope is this account only.

    Raises LunaError BAD_ACCOUNT_ID_HEADER for a malformed UUID, ACCOUNT_ID_HEADER_DISABLED when the header is disabled,
    also for this client or host, AUTHORIZATION_FAILED for an unknown account.
    """
    account_id = parse_uuid(value.strip())
    if account_id is None:
        raise LunaError(errors.BAD_ACCOUNT_ID_HEADER)
    if not config(Logins).allow_luna_account_auth_header:
        raise LunaError(errors.ACCOUNT_ID_HEADER_DISABLED)
    if not is_within(address, config(Logins).account_header_clients):
        problem = f"for the address {address}, which is not in `LUNA_ACCOUNT_ID_HEADER_CLIENTS`"
        raise LunaError(errors.ACCOUNT_ID_HEADER_DISABLED, problem)
    if not is_listed(host):
        raise LunaError(errors.ACCOUNT_ID_HEADER_DISABLED, "for a `Host` that `LUNA_ALLOWED_HOSTS` does not list")
    account = selectors.account_find(account_id)
    if account is None or not account.is_active:
        raise unauthorized(
            LunaError(errors.AUTHORIZATION_FAILED, f"account {account_id} does not exist"), BASIC_CHALLENGE
        )
    return Principal(account_id=account_id, account_type=account.account_type, login=account.login, verified=False)
