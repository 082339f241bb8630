"""Settings of the workbench."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from apps.common.config import Scope, Settings, group, setting

PLACEHOLDERS = ("{z}", "{x}", "{y}")


def _tiles_url(url: str) -> str:
    """Return the URL of tiles. Raises ValueError for a text that is none."""
    if not url:
        return url
    parts = urlsplit(url)
    known = all(each in url for each in PLACEHOLDERS)
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc or "@" in url or not known:
        raise ValueError("must be a URL such as `https://tiles.example.org/{z}/{x}/{y}.png`")
    if any(character in parts.netloc for character in " ;,'\""):
        raise ValueError("has a host with characters that no host has")
    return url


@group("LUNA_MAP", scope=Scope.LIVE)
class Map(Settings):
    """The map of the admin site."""

    tiles_url: Annotated[str, AfterValidator(_tiles_url)] = setting(
        "",
        "Address of the map's tiles. Browsers of operators load them, so their server learns which places they look "
        "at. Default: a map without tiles, with the positions on a grid of degrees.",
        accepts="a URL with `{z}`, `{x}` and `{y}`",
    )
    attribution: str = setting("", "Text below the map that names the source of the tiles.")
