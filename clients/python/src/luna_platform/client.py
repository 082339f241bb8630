"""The synchronous and the asynchronous client."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypedDict

import httpx

from luna_platform.async_operations import AsyncOperations
from luna_platform.calls import Call, error_of
from luna_platform.operations import Operations

if TYPE_CHECKING:
    from typing import BinaryIO, Self, Unpack

BUSY = 503
RETRIES = 2
MAX_PAUSE_S = 30.0


class Options(TypedDict, total=False):
    """The options of both clients.

    `token`: of `POST /6/tokens`. `login`, `password`: of the account, instead of a token. `account_id`: the header
    `Luna-Account-Id`, which a platform accepts only if its operator allows it. `timeout`: seconds for connecting and
    between two packets, default 60. `retries`: further attempts when the platform cannot be reached or answers 503,
    default 2; it has not executed such a request. `verify`: False, or a file of certificates.
    """

    token: str
    login: str
    password: str
    account_id: str
    timeout: float
    retries: int
    verify: bool | str


def _arguments(base_url: str, options: Options) -> dict[str, Any]:
    """Return the arguments of both clients of httpx, except for `transport`."""
    headers = {"Accept": "application/json"}
    if "token" in options:
        headers["Authorization"] = f"Bearer {options['token']}"
    if "account_id" in options:
        headers["Luna-Account-Id"] = options["account_id"]
    return {
        "base_url": base_url,
        "headers": headers,
        "timeout": options.get("timeout", 60.0),
        "auth": (options["login"], options.get("password", "")) if "login" in options else None,
    }


def _transport(options: Options) -> dict[str, Any]:
    return {"retries": options.get("retries", RETRIES), "verify": options.get("verify", True)}


def _pause_s(response: httpx.Response, options: Options, attempt: int) -> float | None:
    """Return the time until the next attempt; None if the response is final."""
    if response.status_code != BUSY or attempt >= options.get("retries", RETRIES):
        return None
    try:
        return min(MAX_PAUSE_S, float(response.headers.get("Retry-After", 1)))
    except ValueError:
        return 1.0


class Client(Operations):
    """A client for threads: one object serves all of them. Use it as a context manager, or call `close`.

    The keyword arguments are `Options`.
    """

    def __init__(self, base_url: str, **options: Unpack[Options]) -> None:
        self._options = options
        transport = httpx.HTTPTransport(**_transport(options))
        self._http = httpx.Client(transport=transport, **_arguments(base_url, options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def download(self, path: str, file: BinaryIO) -> None:
        """Write the body of `GET path` into a file without holding it in memory. Raises ApiError."""
        with self._http.stream("GET", path) as response:
            if response.status_code >= 400:
                response.read()
                raise error_of(response)
            for chunk in response.iter_bytes():
                file.write(chunk)

    def _call(self, call: Call) -> Any:
        attempt = 0
        while True:
            response = self._http.send(self._http.build_request(**call.arguments()))
            pause_s = _pause_s(response, self._options, attempt)
            if pause_s is None:
                return call.result(response)
            time.sleep(pause_s)
            attempt += 1


class AsyncClient(AsyncOperations):
    """A client for `asyncio`. Use it as an asynchronous context manager, or await `close`.

    The keyword arguments are `Options`.
    """

    def __init__(self, base_url: str, **options: Unpack[Options]) -> None:
        self._options = options
        transport = httpx.AsyncHTTPTransport(**_transport(options))
        self._http = httpx.AsyncClient(transport=transport, **_arguments(base_url, options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def download(self, path: str, file: BinaryIO) -> None:
        """Write the body of `GET path` into a file without holding it in memory. Raises ApiError."""
        async with self._http.stream("GET", path) as response:
            if response.status_code >= 400:
                await response.aread()
                raise error_of(response)
            async for chunk in response.aiter_bytes():
                file.write(chunk)

    async def _call(self, call: Call) -> Any:
        attempt = 0
        while True:
            response = await self._http.send(self._http.build_request(**call.arguments()))
            pause_s = _pause_s(response, self._options, attempt)
            if pause_s is None:
                return call.result(response)
            await asyncio.sleep(pause_s)
            attempt += 1
