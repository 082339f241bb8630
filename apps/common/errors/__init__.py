"""The error catalogue: one exception class, one shape of error body, one name per code.

Raise `LunaError(errors.FACE_NOT_FOUND, face_id)`. The exception handler of the API answers with the catalogue's HTTP
status and `{error_code, desc, detail, link}`. Codes and texts are those of LUNA PLATFORM 5, so that clients keep
working. `catalogue.json` defines the names.
"""

from apps.common.errors.catalogue import CATALOGUE, ErrorBodyJson, ErrorCode, error_body
from apps.common.errors.codes import *  # noqa: F403 - the names of all codes
from apps.common.errors.exceptions import LunaError

__all__ = ["CATALOGUE", "ErrorBodyJson", "ErrorCode", "LunaError", "error_body"]
