"""Buckets of servers that speak S3. boto3 builds and signs the requests; `apps.common.fetch` sends them."""

import io
from collections.abc import Iterable, Iterator
from functools import cache
from heapq import merge
from itertools import chain
from threading import Lock
from typing import Any
from urllib.parse import quote

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from apps.common import errors
from apps.common.config import Images, OutgoingRequests, config
from apps.common.errors import LunaError
from apps.common.fetch import FetchError, RefusedError, Timeouts, TooLargeError, send
from apps.tasks.config import Sources
from apps.tasks.sources.base import Choice, Entry, Source, SourceError, shown, too_large

SIGNATURES = {"s3v2": "s3", "s3v4": "s3v4"}  # names of clients and of botocore
ATTEMPTS = 3
CONNECT_S = 10.0
PAGE_BYTES = 16 * 1024**2  # of a page of a listing


_making = Lock()


@cache
def _session() -> boto3.Session:
    """Return a session without keys. Cached: a new one reads megabytes of service descriptions."""
    return boto3.Session()


class _Body(io.BytesIO):
    """A received body as botocore expects it."""

    def stream(self, amt: int = 65536, **kwargs: object) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


class Bucket(Source):
    """A bucket or access point. `endpoint`: URL of the server, None for Amazon's."""

    sessions = 4
    lost = errors.DIRECTORY_READ_FAILED

    def __init__(
        self,
        *,
        bucket: str,
        endpoint: str | None,
        region: str | None,
        access_key: str,
        secret_key: str,
        signature: str,
        keeps_origin: bool,
        choice: Choice,
    ) -> None:
        super().__init__()
        self._bucket, self._endpoint, self._region, self._choice = bucket, endpoint, region, choice
        self._keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        self._signature, self._keeps_origin = SIGNATURES[signature], keeps_origin
        self._client: Any = None

    @property
    def place(self) -> str:
        return f"s3://{shown(self._bucket)}/{shown(self._choice.prefix)}"

    def open(self) -> None:
        settings = Config(
            signature_version=self._signature,
            s3={"addressing_style": "path" if self._endpoint else "auto"},
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            with _making:
                self._client = _session().client(
                    "s3",
                    endpoint_url=self._endpoint,
                    region_name=self._region or "us-east-1",
                    config=settings,
                    **self._keys,
                )
        except (BotoCoreError, ValueError) as error:
            raise SourceError(
                errors.DIRECTORY_READ_FAILED, f"{self.place}: the endpoint or region is invalid"
            ) from error
        self._client.meta.events.register("before-send.s3", self._send)

    def entries(self, after: str) -> Iterator[Entry]:
        prefix = self._choice.prefix
        listings = [self._keys_of(prefix, after)]
        if not self._choice.recursive and prefix and not prefix.endswith("/"):
            listings.append(self._keys_of(f"{prefix}/", after))
        for key in merge(*listings):
            if not key.endswith("/") and self._choice.takes(key):
                yield Entry(key)

    def read(self, name: str) -> bytes:
        self.alive()
        try:
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except TooLargeError as error:
            raise too_large() from error
        except (FetchError, BotoCoreError, ClientError) as error:
            raise LunaError(errors.FILE_READ_FAILED, f"{shown(name)}: {_reason(error)}") from error
        if len(data) > config(Images).max_bytes:
            raise too_large()
        return data

    def origin(self, name: str) -> str | None:
        if not self._keeps_origin:
            return None
        if self._endpoint is None:
            return f"s3://{self._bucket}/{quote(name)}"
        return f"{self._endpoint.rstrip('/')}/{quote(self._bucket)}/{quote(name)}"

    def _keys_of(self, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys in the server's order, which is that of code points."""
        asked = {"Bucket": self._bucket, "Prefix": prefix, "StartAfter": after}
        if not self._choice.recursive:
            asked["Delimiter"] = "/"
        try:
            pages: Iterable[Any] = self._client.get_paginator("list_objects_v2").paginate(**asked)
            for item in chain.from_iterable(page.get("Contents", ()) for page in pages):
                self.alive()
                yield item["Key"]
        except (FetchError, BotoCoreError, ClientError, ValueError) as error:
            raise SourceError(errors.DIRECTORY_READ_FAILED, f"{self.place}: {_reason(error)}") from error

    def _send(self, request: Any, **kwargs: object) -> AWSResponse:
        """Send a signed request to a checked address, in place of botocore's HTTP client."""
        self.alive()
        try:
            answer = send(
                request.method,
                request.url,
                body=request.body or b"",
                headers={name: _text(value) for name, value in request.headers.items()},
                max_bytes=max(config(Images).max_bytes, PAGE_BYTES),
                timeouts=Timeouts(total_s=600.0, connect_s=CONNECT_S, silence_s=float(config(Sources).silence_s)),
                allow_private=config(OutgoingRequests).allow_private_urls,
            )
        except (RefusedError, TooLargeError):
            raise
        except FetchError as error:
            raise EndpointConnectionError(endpoint_url=self._endpoint or "Amazon S3") from error
        self.alive()
        return AWSResponse(request.url, answer.status, answer.headers, _Body(answer.data))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _reason(error: Exception) -> str:
    """Return a reason without addresses, which can be internal."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "the server refused the request"))[:64]
    if isinstance(error, BotoCoreError) and not isinstance(error, EndpointConnectionError):
        return type(error).__name__
    return "the server cannot be reached"
