"""Settings of accounts, logins and tokens."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, SecretStr, model_validator

from apps.common.config import IpNetwork, Scope, Settings, group, setting

EMAIL = r"^[^@\s]+@[^@\s]+$"


@group("LUNA_ADMINISTRATOR", scope=Scope.START, stored=False)
class Administrator(Settings):
    """The administrator that the first start creates."""

    account_id: UUID = setting(UUID("00000000-0000-4000-b000-000000000146"), "Account id.", env="LUNA_ADMIN_ACCOUNT_ID")
    login: str = setting(
        "admin@luna.local", "Login.", env="LUNA_ADMIN_LOGIN", accepts="an e-mail address", pattern=EMAIL
    )
    password: SecretStr = setting(
        SecretStr(""), "Password. Default: a random one, printed once.", env="LUNA_ADMIN_PASSWORD"
    )


@group("LUNA_LOGINS", scope=Scope.LIVE)
class Logins(Settings):
    """Authentication of requests and its rate limits."""

    allow_luna_account_auth_header: bool = setting(
        False,
        "Whether `Luna-Account-Id` alone identifies an account, without any secret. The request must name a listed "
        "host (`LUNA_ALLOWED_HOSTS` without `*`) or an IP address.",
        env="LUNA_ALLOW_ACCOUNT_ID_HEADER",
    )
    account_header_clients: tuple[IpNetwork, ...] = setting(
        ("127.0.0.0/8", "::1"),
        "Clients whose `Luna-Account-Id` is accepted.",
        env="LUNA_ACCOUNT_ID_HEADER_CLIENTS",
        accepts="a list of IP addresses and networks, or `*` for every client",
    )
    credentials_cache_s: int = setting(
        10,
        "Seconds for which a verified password is cached instead of hashed again.",
        env="LUNA_CREDENTIALS_CACHE_S",
        ge=0,
        le=86_400,
    )
    failed_logins: int = setting(
        10,
        "Failed attempts with one login from one address that are allowed within the window.",
        env="LUNA_FAILED_LOGINS",
        ge=1,
        le=1_000_000,
    )
    failed_logins_per_address: int = setting(
        50,
        "Failed attempts with all logins from one address (IPv6: one /64) that are allowed within the window.",
        env="LUNA_FAILED_LOGINS_PER_ADDRESS",
        ge=1,
        le=1_000_000,
    )
    failed_logins_window_s: int = setting(
        60, "Length of the window in seconds.", env="LUNA_FAILED_LOGINS_WINDOW_S", ge=1, le=86_400
    )


@group("LUNA_REGISTRATION", scope=Scope.LIVE)
class Registration(Settings):
    """Registration of accounts without an administrator."""

    open: bool = setting(
        ...,
        "Whether accounts of type `user` can be registered without credentials. Default: true if only this machine "
        "reaches the platform: `LUNA_HOST`, `LUNA_EXTERNAL_ADDRESS` and `LUNA_ALLOWED_HOSTS` name only loopback hosts, "
        "and `FORWARDED_ALLOW_IPS` names no proxy.",
        env="LUNA_OPEN_REGISTRATION",
    )
    open_advanced: bool = setting(
        False,
        "Whether accounts of type `advanced_user`, which read all data, can be registered without credentials.",
        env="LUNA_OPEN_ADVANCED_REGISTRATION",
    )


@group("LUNA_PASSWORDS", scope=Scope.START)
class Passwords(Settings):
    """Passwords of accounts. Common passwords, numbers, and passwords similar to the login are rejected too."""

    min_length: int = setting(
        8, "Characters that a new password must have at least.", env="LUNA_PASSWORD_MIN_LENGTH", ge=8, le=128
    )


@group("LUNA_PASSWORD_CHANGES", scope=Scope.LIVE)
class PasswordChanges(Settings):
    """Effects of a new password. It always ends cached credentials, websockets and sessions of the admin site."""

    keep_tokens: bool = setting(
        False, "Whether the tokens of the account stay valid.", env="LUNA_PASSWORD_CHANGE_KEEPS_TOKENS"
    )


@group("LUNA_AUDIT", scope=Scope.LIVE)
class Audit(Settings):
    """The audit log."""

    retention_days: int = setting(
        0,
        "Days for which audit lines are kept; 0 keeps them for ever.",
        env="LUNA_AUDIT_RETENTION_DAYS",
        ge=0,
        le=36_500,
    )
    login_retention_days: int = setting(
        90,
        "Days for which audit lines of logins are kept, if these are fewer; 0: as for other lines.",
        env="LUNA_AUDIT_LOGIN_RETENTION_DAYS",
        ge=0,
        le=36_500,
    )
    failed_logins: int = setting(
        1000,
        "Failed logins that leave an audit line each, per hour. Further ones leave one line in total.",
        env="LUNA_AUDIT_FAILED_LOGINS",
        ge=0,
        le=1_000_000,
    )


@group("LUNA_IDEMPOTENCY", scope=Scope.LIVE)
class KeptAnswers(Settings):
    """Responses that Redis keeps for a day per `Idempotency-Key`. At a limit, the oldest are removed first."""

    account_max_size: int = setting(
        16 * 1024**2, "Bytes of kept responses of one account.", env="LUNA_IDEMPOTENCY_ACCOUNT_BYTES", ge=0, le=2**40
    )
    max_size: int = setting(
        64 * 1024**2, "Bytes of kept responses of all accounts.", env="LUNA_IDEMPOTENCY_BYTES", ge=0, le=2**40
    )


@group("LUNA_TOKEN_SIGNATURE", scope=Scope.START, stored=False)
class TokenSignature(Settings):
    """The ES256 key that signs tokens. Without it, tokens are signed by HS256 with a key derived from `secret_key`."""

    ecdsa_key: Annotated[SecretStr, AfterValidator(lambda key: _with_line_breaks(key))] = setting(
        SecretStr(""),
        "Private key on the curve prime256v1. The platform does not start with an invalid key.",
        env=("LUNA_JWT_ECDSA_KEY", "ACCOUNTS_JWT_ECDSA_KEY"),
        accepts="PEM, Base64 of PEM, or a path",
    )
    ecdsa_key_password: SecretStr = setting(
        SecretStr(""),
        "Password of the key.",
        env=("LUNA_JWT_ECDSA_KEY_PASSWORD", "ACCOUNTS_JWT_ECDSA_KEY_PASSWORD"),
    )

    @model_validator(mode="after")
    def _password_has_a_key(self) -> "TokenSignature":
        if self.ecdsa_key_password.get_secret_value() and not self.ecdsa_key.get_secret_value():
            raise ValueError("LUNA_JWT_ECDSA_KEY_PASSWORD is set, but LUNA_JWT_ECDSA_KEY is not: set both or neither")
        return self


def _with_line_breaks(key: SecretStr) -> SecretStr:
    """Restore line breaks of PEM that an environment file writes as `\\n`."""
    return SecretStr(key.get_secret_value().replace("\\r", "").replace("\\n", "\n"))
