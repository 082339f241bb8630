"""The error catalogue: one exception that carries a code, one shape of body.

Raise `LunaError(22002, face_id)`; the exception handler of the API answers with the catalogue's HTTP status and
`{error_code, desc, detail, link}`. Codes and texts are those of LUNA PLATFORM 5, so that clients keep working.
"""

from apps.common.errors.catalogue import CATALOGUE, ErrorCode, error_body
from apps.common.errors.exceptions import LunaError

__all__ = ["CATALOGUE", "ErrorCode", "LunaError", "error_body"]
