"""The exception that becomes an error response."""

from apps.common.errors.catalogue import CATALOGUE, ErrorBodyJson, error_body


class LunaError(Exception):
    """An error of the catalogue.

    `values` fill the `{value}` placeholders of the catalogue's detail, in order. `status` overrides the catalogue's
    HTTP status, for codes with two (such as 503 of a busy engine). `headers` are added to the response.
    Raises KeyError when the code is not in the catalogue.
    """

    def __init__(
        self, code: int, *values: object, status: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        entry = CATALOGUE[code]
        self.code = code
        self.status = entry.status if status is None else status
        self.detail = entry.format_detail(values)
        self.headers = headers or {}
        super().__init__(code, self.detail)

    def body(self) -> ErrorBodyJson:
        """Return `{error_code, desc, detail, link}`."""
        return error_body(self.code, self.detail)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.code, self.detail, self.status, self.headers)


def _rebuild(code: int, detail: str, status: int, headers: dict[str, str]) -> LunaError:
    error = LunaError(code, status=status, headers=headers)
    error.detail = detail
    return error
