"""Settings that no room owns: directories, services, HTTP, the external address, limits of the whole platform."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr, model_validator

from apps.common.config.groups import Scope, Section, Settings, group, ordered, setting

DATABASE_SCHEMES = ("postgres://", "postgresql://", "pgsql://", "psql://", "postgis://")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
MAX_BYTES = 2**40
Absolute = Annotated[Path, AfterValidator(Path.resolve)]


@group("LUNA_DIRECTORIES", scope=Scope.START)
class Directories(Settings):
    """Directories of this installation. Relative ones start at the working directory."""

    var: Absolute = setting(
        ..., "Everything that the platform writes. Default: `var` of the checkout.", env="LUNA_VAR_DIR"
    )
    networks: Absolute = setting(
        ..., "Built networks. Default: `networks` of the var directory.", env="LUNA_NETWORKS_DIR"
    )
    cache: Absolute = setting(..., "Packages of networks. Default: `cache` of the var directory.", env="LUNA_CACHE_DIR")

    @property
    def tmp(self) -> Path:
        """Temporary files: bodies while they are received or decompressed, and parts of forms."""
        return self.var / "tmp"


@group("LUNA_SERVICES", scope=Scope.START)
class Services(Settings):
    """PostgreSQL, Redis and the key of this installation."""

    database_url: Annotated[SecretStr, AfterValidator(lambda url: _begins(url, DATABASE_SCHEMES))] = setting(
        ...,
        "PostgreSQL with pgvector. Default: the embedded one.",
        env="DATABASE_URL",
        accepts="a URL such as `postgresql://user:password@host:port/name`",
    )
    redis_url: Annotated[SecretStr, AfterValidator(lambda url: _begins(url, REDIS_SCHEMES))] = setting(
        ...,
        "Broker, channel layer and temporary attributes. Default: the embedded Redis.",
        env="REDIS_URL",
        accepts="a URL that begins with `redis://`, `rediss://` or `unix://`",
    )
    secret_key: SecretStr = setting(
        ...,
        "Signs tokens and sessions, encrypts credentials of callbacks. Default: made at the first start and kept in "
        "`secrets` of the var directory.",
        env="LUNA_SECRET_KEY",
    )


@group("LUNA_API_LOGGER", scope=Scope.START)
class Logger(Settings):
    """Log files of every process."""

    log_level: Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"] = setting(
        "INFO", "Lines below this level are not written.", env="LUNA_LOG_LEVEL"
    )


@group("LUNA_WEB", scope=Scope.START)
class Web(Settings):
    """Which hosts and pages may use the platform from a browser."""

    allowed_hosts: tuple[str, ...] = setting(
        ("*",), "Host names that requests may name, `*` for any.", env="LUNA_ALLOWED_HOSTS"
    )
    csrf_trusted_origins: tuple[str, ...] = setting(
        (),
        "Foreign origins whose pages may log in and listen to events.",
        env="LUNA_CSRF_TRUSTED_ORIGINS",
        accepts="a list of origins such as `https://desk.example`",
    )
    forwarded_allow_ips: tuple[Annotated[str, AfterValidator(lambda text: _network(text))], ...] = setting(
        (),
        "Addresses and networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count. Without it every "
        "client behind a proxy has the proxy's address, for rate limits too.",
        env="FORWARDED_ALLOW_IPS",
        accepts="a list of IP addresses and networks, or `*` for every peer",
    )


@group("LUNA_API_HTTP_SETTINGS", scope=Scope.START)
class Http(Settings):
    """Sizes of request bodies."""

    request_max_size: int = setting(
        1024**3, "Bytes of the largest request body.", env="LUNA_MAX_REQUEST_BYTES", ge=1, le=MAX_BYTES
    )
    json_max_size: int = setting(
        64 * 1024**2, "Bytes of the largest JSON body.", env="LUNA_MAX_JSON_BYTES", ge=1, le=MAX_BYTES
    )
    bodies_max_size: int = setting(
        4 * 1024**3,
        "Bytes that all bodies of a web process hold together, in memory and in `tmp` of the var directory, while they "
        "are received or decompressed.",
        env="LUNA_BODIES_BYTES",
        ge=1024**2,
        le=MAX_BYTES,
    )


@group("EXTERNAL_LUNA_API_ADDRESS", scope=Scope.LIVE)
class ExternalAddress(Settings):
    """The address under which clients know the platform."""

    origin: Annotated[str, AfterValidator(lambda url: url.rstrip("/"))] = setting(
        "http://127.0.0.1:5000",
        "Begins the `external_url` of answers. `make up` sets it to its own address.",
        env="LUNA_EXTERNAL_ADDRESS",
        accepts="a URL that begins with `http://` or `https://`",
        pattern=r"^https?://[^\s/]",
    )


@group("LUNA_ERROR_LINKS", scope=Scope.LIVE)
class ErrorLinks(Settings):
    """The page that the `link` of an error body leads to."""

    page: str = setting(
        "",
        "Address of the page; `#` and the code follow. Default: `/docs/errors` of the external address.",
        env="LUNA_ERROR_LINKS_PAGE",
        accepts="nothing, or a URL that begins with `http://` or `https://`",
        pattern=r"^(https?://[^\s#]+)?$",
    )


@group("LUNA_IMAGES", scope=Scope.ENGINE)
class Images(Settings):
    """Pictures of requests."""

    max_bytes: int = setting(
        15 * 1024**2, "Bytes of the largest picture.", env="LUNA_MAX_IMAGE_BYTES", ge=1, le=MAX_BYTES
    )
    max_pixels: int = setting(
        50_000_000, "Pixels of the largest picture.", env="LUNA_MAX_IMAGE_PIXELS", ge=1, le=MAX_BYTES
    )


@group("LUNA_DECODING", scope=Scope.START)
class Decoding(Settings):
    """Decoding of pictures in one process."""

    pixels: int = setting(
        100_000_000,
        "Pixels decoded at a time; each takes 4 to 20 bytes of memory.",
        env="LUNA_DECODING_PIXELS",
        ge=1,
        le=MAX_BYTES,
    )
    wait_s: float = setting(
        10.0,
        "Seconds that a picture waits for its turn before the request is answered with 503.",
        env="LUNA_DECODING_WAIT_S",
        ge=0,
        le=600,
    )


@group("LUNA_OUTGOING_REQUESTS", scope=Scope.LIVE)
class OutgoingRequests(Settings):
    """Calls that clients make the platform do: pictures by URL, callbacks."""

    allow_private_urls: bool = setting(
        False, "Whether they may go to private addresses.", env="LUNA_ALLOW_PRIVATE_URLS"
    )


@group("LUNA_PAGING", scope=Scope.LIVE)
class Paging(Settings):
    """Pages of list resources."""

    default_page_size: int = setting(10, "Rows of a page where the request does not say.", ge=1)
    max_page_size: int = setting(100, "The largest `page_size`.", ge=1, le=10_000)

    @model_validator(mode="after")
    def _default_fits(self) -> "Paging":
        return ordered(self, "LUNA_PAGING", "default_page_size", "max_page_size")


class MatchLimits(Section):
    """Limits of a matching request."""

    array_filter_limit: int = setting(1000, "Ids in one filter by ids.", ge=1, le=100_000)
    reference_limit: int = setting(30, "References of a request.", ge=1, le=10_000)
    candidate_limit: int = setting(30, "Sets of candidates of a request.", ge=1, le=10_000)
    result_candidate_limit: int = setting(100, "The largest `limit`: results per reference and set.", ge=1, le=100_000)


@group("PLATFORM_LIMITS", scope=Scope.LIVE)
class PlatformLimits(Settings):
    """Limits of requests."""

    match: MatchLimits = MatchLimits()


def _network(text: str) -> str:
    if text != "*":
        ip_network(text, strict=False)
    return text


def _begins(url: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    if not url.get_secret_value().startswith(schemes):
        raise ValueError("unknown scheme")
    return url
