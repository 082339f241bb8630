"""EXIF data of a picture in the form of the API."""

import math
from typing import Annotated, TypedDict

from PIL.Image import Exif
from PIL.TiffImagePlugin import IFDRational

EXIF_IFD = 0x8769
GPS_IFD = 0x8825

_MAIN = {"make": 0x010F, "model": 0x0110, "orientation": 0x0112, "artist": 0x013B, "software": 0x0131}
_MAIN_DATE_TIME = 0x0132
_DETAIL = {"digitalZoomRatio": 0xA404, "flash": 0x9209, "uid": 0xA420}
_DETAIL_DATE_TIME = 0x9003
_LATITUDE, _LONGITUDE = (1, 2), (3, 4)  # hemisphere, degrees-minutes-seconds
MAX_TEXT = 256


class ExifJson(TypedDict, total=False):
    """Readable tags of a picture."""

    make: str
    model: str
    orientation: int
    latitude: Annotated[float, "Degrees; south is negative."]
    longitude: Annotated[float, "Degrees; west is negative."]
    artist: str
    software: str
    dateTime: Annotated[str, "Time of the photograph, else of the file, in EXIF format."]
    digitalZoomRatio: float
    flash: int
    uid: str


def read_exif(exif: Exif) -> dict[str, object]:
    """Return the readable tags of a picture, members of `ExifJson`. A tag of another type is omitted."""
    detail, gps = exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)
    values = {name: exif.get(tag) for name, tag in _MAIN.items()}
    values |= {name: detail.get(tag) for name, tag in _DETAIL.items()}
    values["dateTime"] = detail.get(_DETAIL_DATE_TIME, exif.get(_MAIN_DATE_TIME))
    values["latitude"] = _degrees(gps.get(_LATITUDE[1]), gps.get(_LATITUDE[0]), "S")
    values["longitude"] = _degrees(gps.get(_LONGITUDE[1]), gps.get(_LONGITUDE[0]), "W")
    plain = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _degrees(parts: object, hemisphere: object, negative: str) -> float | None:
    if not isinstance(parts, tuple) or len(parts) != 3:
        return None
    numbers = [_plain(part) for part in parts]
    if not all(isinstance(number, int | float) for number in numbers):
        return None
    degrees, minutes, seconds = (float(str(number)) for number in numbers)
    value = degrees + minutes / 60 + seconds / 3600
    return round(-value if hemisphere == negative else value, 7)


def _plain(value: object) -> str | int | float | None:
    """Return a tag's value as JSON, None if JSON cannot represent it (binary data, division by zero, NaN)."""
    if isinstance(value, IFDRational):
        return float(value) if value.denominator else None
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore")
    if isinstance(value, str):
        return "".join(char for char in value if char.isprintable()).strip()[:MAX_TEXT] or None
    return value if isinstance(value, int | float) and math.isfinite(value) else None
