"""The Image Store in an S3 bucket, with the same file names as on disk.

With `lifecycle`, objects with their own time to live have the tag `vl-expire` with its days, and S3 removes them by the
rules of `rules_put`. The daily clean-up removes objects that follow their bucket's time to live, because a change of it
applies to all of them, and an outdated tag would remove an object too early.
"""

import io
import threading
from functools import cache, partial
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage
from storages.utils import clean_name
from urllib3.exceptions import HTTPError

from apps.common.breaker import Breaker
from apps.common.process import PerProcess
from apps.imagestore.types import TTL_DAYS

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 8.0  # without data
ATTEMPTS = 2
FAILURES = 3  # in a row, until the circuit breaker opens
PAUSE_S = 5.0  # for which it stays open
PATIENCE_S = 1.0  # of a call that waits for a running one to finish
AT_ONCE = 12  # calls of a process
PART_BYTES = 8 * 1024**2
PARTS_AT_A_TIME = 2  # of one upload; bounds its memory
EXPIRE_TAG = "vl-expire"

_making = PerProcess("S3 connections", threading.Lock)


@cache
def _session(access_key: str | None, secret_key: str | None) -> boto3.Session:
    """Return the session of this process. Cached: each new one reads megabytes of service descriptions."""
    return boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key)


def is_silence(error: BaseException) -> bool | None:
    """Classify an error for the circuit breaker: True for no answer, False for an answer, None for other errors."""
    if isinstance(error, HTTPClientError | ConnectionError | HTTPError):
        return True
    return False if isinstance(error, ClientError | FileNotFoundError) else None


class S3Store(S3Storage):
    """django-storages' S3 with a circuit breaker, bounded memory and streamed reads.

    While S3 does not answer, most calls fail at once with AwayError, so that threads stay free for other requests.
    """

    def __init__(
        self,
        *,
        lifecycle: bool = False,
        at_once: int = AT_ONCE,
        connect_timeout_s: float | None = None,
        read_timeout_s: float | None = None,
        attempts: int | None = None,
        pause_s: float | None = None,
        **settings: Any,
    ) -> None:
        self.lifecycle = lifecycle
        make = partial(
            Breaker,
            at_once=at_once,
            failures=FAILURES,
            pause_s=PAUSE_S if pause_s is None else pause_s,
            patience_s=PATIENCE_S,
            is_failure=is_silence,
        )
        self._breaker = PerProcess("S3 breaker", make, status=Breaker.status)
        style = "path" if settings.get("endpoint_url") else "auto"
        config = Config(
            s3={"addressing_style": style},
            signature_version="s3v4",
            connect_timeout=connect_timeout_s or CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s or READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": attempts or ATTEMPTS},
            max_pool_connections=at_once + PARTS_AT_A_TIME,
        )
        transfer = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_A_TIME
        )  # fmt: skip
        super().__init__(client_config=config, transfer_config=transfer, file_overwrite=True, **settings)

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker of this process; a forked child has its own."""
        return self._breaker()

    @property
    def connection(self) -> Any:
        """This thread's connection. A lock guards its creation, because threads share the session."""
        with _making():
            return super().connection

    def _create_session(self) -> boto3.Session:
        return _session(self.access_key, self.secret_key)

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        key = self._normalize_name(clean_name(name))
        reader = S3Reader(self.connection.meta.client, self.bucket_name, key, self.breaker)
        return File(io.BufferedReader(reader, PART_BYTES // 8), name)

    def _save(self, name: str, content: "File[Any]") -> str:
        with self.breaker.guard():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with self.breaker.guard():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with self.breaker.guard():
            return bool(super().exists(name))

    def _get_write_parameters(self, name: str, content: Any = None) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._get_write_parameters(name, content)
        days = getattr(content, "expire_days", None)
        if self.lifecycle and days in TTL_DAYS:
            parameters["Tagging"] = f"{EXPIRE_TAG}={days}"
        return parameters

    def expire(self, name: str, days: int | None) -> None:
        """Make S3 remove a file `days` after it was written, or keep it for other values."""
        key = {"Bucket": self.bucket_name, "Key": self._normalize_name(clean_name(name))}
        client = self.connection.meta.client
        with self.breaker.guard():
            if days in TTL_DAYS:
                client.put_object_tagging(**key, Tagging={"TagSet": [{"Key": EXPIRE_TAG, "Value": str(days)}]})
            else:
                client.delete_object_tagging(**key)

    def rules_put(self) -> None:
        """Set an expiry rule per time to live on the S3 bucket. Other rules are kept."""
        client, bucket = self.connection.meta.client, self.bucket_name
        try:
            found = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
                raise
            found = []
        ours = [
            {
                "ID": f"{EXPIRE_TAG}-{days}",
                "Expiration": {"Days": days},
                "Filter": {"Tag": {"Key": EXPIRE_TAG, "Value": str(days)}},
                "Status": "Enabled",
            }
            for days in TTL_DAYS
        ]
        names = {rule["ID"] for rule in ours}
        rules = [rule for rule in found if rule.get("ID") not in names] + ours
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


class S3Reader(io.RawIOBase):
    """A seekable reader of an object in S3. It requests data from its position when it is read."""

    def __init__(self, client: Any, bucket: str, key: str, breaker: Breaker) -> None:
        self.client, self.bucket, self.key, self.breaker = client, bucket, key, breaker
        self.position = 0
        self.body: Any = None  # `close` runs even if the first request fails
        self.size, self.body = self._get(0)

    def _get(self, start: int) -> tuple[int, Any]:
        """Return the object's size and its body from `start` on. Raises FileNotFoundError."""
        wanted = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self.breaker.guard():
                answer = self.client.get_object(Bucket=self.bucket, Key=self.key, **wanted)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise FileNotFoundError(self.key) from error
            raise
        return start + int(answer["ContentLength"]), answer["Body"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        if target != self.position:
            self.body.close()
            self.position, self.body = target, None
        return self.position

    def readinto(self, buffer: Any) -> int:
        if self.position >= self.size:
            return 0
        if self.body is None:
            _, self.body = self._get(self.position)
        with self.breaker.guard():
            chunk = self.body.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self.position += len(chunk)
        return len(chunk)

    def close(self) -> None:
        if not self.closed and self.body is not None:
            self.body.close()
        super().close()
