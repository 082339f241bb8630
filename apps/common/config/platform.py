"""Settings that belong to no room: directories, services, HTTP, external address and platform limits."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr, StringConstraints, model_validator

from apps.common.config.groups import Scope, Section, Settings, group, ordered, setting
from apps.common.config.urls import checked_address, checked_database_url, checked_redis_url, path_of

MAX_BYTES = 2**40
COOKIE_NAME = r"^[A-Za-z0-9_-]{1,64}$"
COOKIE_NAMES = "1 to 64 letters, digits, `_` and `-`"
Absolute = Annotated[Path, AfterValidator(Path.resolve)]
IpNetwork = Annotated[str, AfterValidator(lambda text: _network(text))]
"""An IP address or network in its canonical form, or `*` for all."""
PluginNames = tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...]


@group("LUNA_DIRECTORIES", scope=Scope.START, stored=False)
class Directories(Settings):
    """Directories of this installation. Relative paths start at the working directory."""

    var: Absolute = setting(
        ..., "Directory of all files that the platform writes. Default: `var` in the checkout.", env="LUNA_VAR_DIR"
    )
    networks: Absolute = setting(
        ..., "Directory of built networks. Default: `networks` in the var directory.", env="LUNA_NETWORKS_DIR"
    )
    cache: Absolute = setting(
        ..., "Directory of downloaded network packages. Default: `cache` in the var directory.", env="LUNA_CACHE_DIR"
    )

    @property
    def tmp(self) -> Path:
        """The directory of temporary files: request bodies in transit and parts of forms."""
        return self.var / "tmp"


@group("LUNA_SERVICES", scope=Scope.START, stored=False)
class Services(Settings):
    """PostgreSQL, Redis and the secrets of this installation."""

    database_url: Annotated[SecretStr, AfterValidator(checked_database_url)] = setting(
        ...,
        "URL of PostgreSQL with pgvector. Default: the embedded PostgreSQL.",
        env="DATABASE_URL",
        accepts="a URL such as `postgresql://user:password@host:port/name`",
    )
    redis_url: Annotated[SecretStr, AfterValidator(checked_redis_url)] = setting(
        ...,
        "URL of Redis (broker, channel layer, temporary attributes). Default: the embedded Redis.",
        env="REDIS_URL",
        accepts="a URL that begins with `redis://`, `rediss://` or `unix://`",
    )
    secret_key: SecretStr = setting(
        ...,
        "Key that signs tokens and sessions, and encrypts stored secrets unless `FERNET_PASSPHRASE` is set. Default: "
        "generated at the first start into `secrets` in the var directory.",
        env="LUNA_SECRET_KEY",
    )
    secret_key_old: SecretStr = setting(
        SecretStr(""),
        "The former `LUNA_SECRET_KEY`: stored secrets that it encrypted stay readable until "
        "`.venv/bin/python manage.py rotate_secrets`.",
        env="LUNA_SECRET_KEY_OLD",
    )
    fernet_passphrase: SecretStr = setting(
        SecretStr(""),
        "Passphrase that encrypts stored secrets: passwords and tokens of callbacks and tasks.",
        env="FERNET_PASSPHRASE",
    )
    salt: SecretStr = setting(SecretStr(""), "Salt of `FERNET_PASSPHRASE`.", env="SALT")
    fernet_passphrase_old: SecretStr = setting(
        SecretStr(""),
        "The former `FERNET_PASSPHRASE`: stored secrets that it encrypted stay readable until "
        "`.venv/bin/python manage.py rotate_secrets`.",
        env="FERNET_PASSPHRASE_OLD",
    )
    salt_old: SecretStr = setting(SecretStr(""), "Salt of `FERNET_PASSPHRASE_OLD`.", env="SALT_OLD")


@group("LUNA_WEB", scope=Scope.START)
class Web(Settings):
    """Host names, origins and proxies that the platform trusts."""

    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Host names that requests may name in `Host`, besides loopback names and the host of `LUNA_EXTERNAL_ADDRESS`; "
        "`*` for any. Default: none if `LUNA_HOST` is a loopback address, otherwise `*`.",
        env="LUNA_ALLOWED_HOSTS",
    )
    csrf_trusted_origins: tuple[str, ...] = setting(
        (),
        "Other origins whose pages may log in, send forms to the API, and open websockets.",
        env="LUNA_CSRF_TRUSTED_ORIGINS",
        accepts="a list of origins such as `https://desk.example`",
    )
    forwarded_allow_ips: tuple[IpNetwork, ...] = setting(
        (),
        "Addresses and networks of proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Prefix` are "
        "trusted. If empty, all clients behind a proxy share the proxy's address, also in rate limits.",
        env="FORWARDED_ALLOW_IPS",
        accepts="a list of IP addresses and networks, or `*` for every peer",
    )


@group("LUNA_WEB_PAGES", scope=Scope.START)
class Pages(Settings):
    """Cookies and headers of pages: the admin site and the documentation. The API uses no cookies."""

    session_cookie_name: str = setting(
        "luna_session",
        "Name of the cookie of a session. Installations on one host need different names.",
        env="LUNA_SESSION_COOKIE_NAME",
        accepts=COOKIE_NAMES,
        pattern=COOKIE_NAME,
    )
    csrf_cookie_name: str = setting(
        "luna_csrf",
        "Name of the cookie that protects forms.",
        env="LUNA_CSRF_COOKIE_NAME",
        accepts=COOKIE_NAMES,
        pattern=COOKIE_NAME,
    )
    secure_cookies: bool | None = setting(
        None,
        "Whether browsers send the cookies over HTTPS only. Default: for a request that came over HTTPS, possibly "
        "through a proxy of `FORWARDED_ALLOW_IPS`.",
        env="LUNA_SECURE_COOKIES",
    )
    hsts_s: int = setting(
        30 * 86_400,
        "Seconds for which browsers use HTTPS only for this host (`Strict-Transport-Security`); 0: no header. It is "
        "sent over HTTPS only.",
        env="LUNA_HSTS_S",
        ge=0,
        le=10 * 366 * 86_400,
    )
    content_security_policy: str = setting(
        "",
        "Header `Content-Security-Policy` of pages. Default: scripts, pictures and forms of the platform only.",
        env="LUNA_CONTENT_SECURITY_POLICY",
        accepts="text without line breaks",
        pattern=r"^[\x20-\x7e]*$",
    )


@group("LUNA_API_HTTP_SETTINGS", scope=Scope.START)
class Http(Settings):
    """Size limits of request bodies."""

    request_max_size: int = setting(
        1024**3, "Largest request body, in bytes.", env="LUNA_MAX_REQUEST_BYTES", ge=1, le=MAX_BYTES
    )
    json_max_size: int = setting(
        64 * 1024**2, "Largest JSON or MessagePack body, in bytes.", env="LUNA_MAX_JSON_BYTES", ge=1, le=MAX_BYTES
    )
    bodies_max_size: int = setting(
        4 * 1024**3,
        "Bytes that all bodies of a web process may hold in total while they are received or decompressed, in memory "
        "and in `tmp` of the var directory.",
        env="LUNA_BODIES_BYTES",
        ge=1024**2,
        le=MAX_BYTES,
    )


@group("EXTERNAL_LUNA_API_ADDRESS", scope=Scope.LIVE)
class ExternalAddress(Settings):
    """The address at which clients reach the platform."""

    origin: Annotated[str, AfterValidator(checked_address)] = setting(
        "http://127.0.0.1:5000",
        "Beginning of `external_url` in responses. Its path is the prefix of all paths behind a proxy. `make up` sets "
        "it to its own address.",
        env="LUNA_EXTERNAL_ADDRESS",
        accepts="a URL that begins with `http://` or `https://`",
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
    )

    @property
    def path(self) -> str:
        """The path of the address without trailing slash, such as `/luna`; empty for the root."""
        return path_of(self.origin)


@group("LUNA_ERROR_LINKS", scope=Scope.LIVE)
class ErrorLinks(Settings):
    """The target of `link` in error bodies."""

    page: str = setting(
        "",
        "URL of a page; `#<code>` is appended. Default: `/docs/errors` of the external address.",
        env="LUNA_ERROR_LINKS_PAGE",
        accepts="nothing, or a URL that begins with `http://` or `https://`",
        pattern=r"^(https?://[^\s#]+)?$",
    )


@group("LUNA_IMAGES", scope=Scope.ENGINE)
class Images(Settings):
    """Size limits of pictures in requests."""

    max_bytes: int = setting(15 * 1024**2, "Largest picture, in bytes.", env="LUNA_MAX_IMAGE_BYTES", ge=1, le=MAX_BYTES)
    max_pixels: int = setting(
        50_000_000, "Largest picture, in pixels.", env="LUNA_MAX_IMAGE_PIXELS", ge=1, le=MAX_BYTES
    )


@group("LUNA_DECODING", scope=Scope.START)
class Decoding(Settings):
    """Limits of picture decoding in one process."""

    pixels: int = setting(
        100_000_000,
        "Pixels that are decoded at a time; each takes 4 to 20 bytes of memory.",
        env="LUNA_DECODING_PIXELS",
        ge=1,
        le=MAX_BYTES,
    )
    wait_s: float = setting(
        10.0,
        "Seconds that a picture may wait for decoding; the request is then answered with 503.",
        env="LUNA_DECODING_WAIT_S",
        ge=0,
        le=600,
    )


@group("LUNA_OUTGOING_REQUESTS", scope=Scope.LIVE)
class OutgoingRequests(Settings):
    """Outgoing requests to URLs that clients name: pictures and callbacks."""

    allow_private_urls: bool = setting(
        False, "Whether URLs may lead to private addresses.", env="LUNA_ALLOW_PRIVATE_URLS"
    )


@group("LUNA_PAGING", scope=Scope.LIVE)
class Paging(Settings):
    """Page sizes of list resources."""

    default_page_size: int = setting(10, "Default of `page_size`.", ge=1)
    max_page_size: int = setting(1000, "Largest `page_size`.", ge=1, le=10_000)

    @model_validator(mode="after")
    def _default_fits(self) -> "Paging":
        return ordered(self, "LUNA_PAGING", "default_page_size", "max_page_size")


@group("LUNA_QUERY_PARAMETERS", scope=Scope.LIVE)
class QueryParameters(Settings):
    """Unknown query parameters."""

    refuse_unknown: bool = setting(
        False,
        "Whether a request with an unknown query parameter is rejected (400). Otherwise it is ignored and "
        "named in the response header `Luna-Unknown-Parameters`.",
        env="LUNA_REFUSE_UNKNOWN_PARAMETERS",
    )


class MatchLimits(Section):
    """Limits of a matching request."""

    array_filter_limit: int = setting(1000, "Largest number of ids in one filter.", ge=1, le=100_000)
    reference_limit: int = setting(30, "Largest number of references.", ge=1, le=10_000)
    candidate_limit: int = setting(30, "Largest number of candidate sets.", ge=1, le=10_000)
    result_candidate_limit: int = setting(100, "Largest `limit`: results per reference and set.", ge=1, le=100_000)


class CrossMatchLimits(Section):
    """Limits of a cross-matching task."""

    short_array_filter_limit: int = setting(
        1000, "Largest number of values in one filter, except ids of objects.", ge=1, le=100_000
    )
    array_filter_limit: int = setting(20_000, "Largest number of ids of objects in one filter.", ge=1, le=1_000_000)
    result_candidate_limit: int = setting(
        20_000, "Largest `limit`: results per reference and set.", ge=1, le=10_000_000
    )
    general_limit: int = setting(
        100_000, "Largest product of the numbers of references and candidates.", ge=1, le=10**12
    )


@group("PLATFORM_LIMITS", scope=Scope.LIVE)
class PlatformLimits(Settings):
    """Limits of requests."""

    match: MatchLimits = MatchLimits()
    cross_match: CrossMatchLimits = CrossMatchLimits()


def _network(text: str) -> str:
    if text == "*":
        return text
    return str(ip_network(text, strict=False) if "/" in text else ip_address(text))


@group("LUNA_STORAGE_TIME", scope=Scope.LIVE)
class StorageTime(Settings):
    """Times without an offset."""

    storage_time: Literal["LOCAL", "UTC"] = setting(
        "UTC",
        "Zone of times without an offset: UTC, or LOCAL, the zone of the server. Times are stored as instants, and "
        "responses give them in UTC.",
        env="STORAGE_TIME",
    )


@group("ADDITIONAL_SERVICES_USAGE", scope=Scope.LIVE)
class AdditionalServices(Settings):
    """Optional parts of the platform."""

    luna_matcher_proxy: bool = setting(
        True, "Whether active matching plugins get requests. Lists in memory do not depend on it."
    )
    luna_sender: bool = setting(
        True,
        "Whether websockets receive notifications. Otherwise handshakes are rejected, and so are events of handlers "
        "with `notification_policy` or a callback `luna-ws-notification`.",
    )
    luna_handlers: bool = setting(
        True, "Whether requests to handlers, verifiers, detector and extractor are accepted. Otherwise: 403 11071."
    )
    luna_image_store: bool = setting(
        True,
        "Whether samples, images, objects and buckets are stored and read. Otherwise: 403 11070, also for detector, "
        "extractor and policies that ask for samples or source images; handlers without such policies store none. Of "
        "tasks only garbage collection, linker and estimator are accepted, and have no results.",
    )
    luna_events: bool = setting(
        True,
        "Whether events are generated, read and matched. Otherwise: 403 11040; handlers can be stored.",
    )
    luna_tasks: bool = setting(
        True,
        "Whether requests to tasks are accepted. Otherwise: 403 11039; schedules create no tasks, and tasks that wait "
        "are not executed.",
    )
    luna_lambda: bool = setting(
        True,
        "Accepted for settings of LUNA PLATFORM. Luna has no lambdas: lambda handlers are rejected (403 11072) in "
        "either case.",
    )


@group("LUNA_PLUGINS", scope=Scope.START)
class ServicePlugins(Settings):
    """Event and background plugins."""

    handlers: PluginNames = setting(
        (),
        "Plugins of handlers: names of files without `.py` in `plugins/handlers` of the var directory, or names of "
        "entry points of `luna.handlers_plugins`.",
        env="LUNA_HANDLERS_ACTIVE_PLUGINS",
        accepts="a list of names, separated by commas",
    )
    events: PluginNames = setting(
        (),
        "Plugins of events: the same with `plugins/events` and `luna.events_plugins`.",
        env="LUNA_EVENTS_ACTIVE_PLUGINS",
        accepts="a list of names, separated by commas",
    )
    sender: PluginNames = setting(
        (),
        "Plugins of the Sender: the same with `plugins/sender` and `luna.sender_plugins`.",
        env="LUNA_SENDER_ACTIVE_PLUGINS",
        accepts="a list of names, separated by commas",
    )
