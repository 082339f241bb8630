"""The Image Store in S3: one S3 bucket, the same names below it as on disk.

With `lifecycle`, objects that have a time to live of their own carry the tag `vl-expire` with its days, and the rules
of `rules_put` make S3 remove them. What follows its bucket's time to live is left to the daily clean-up: it changes
for all of them at once, and a tag that was forgotten would end an object too early.
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
READ_TIMEOUT_S = 8.0  # of silence
ATTEMPTS = 2
FAILURES = 3  # in a row, until S3 is left alone
PAUSE_S = 5.0  # for so long
PATIENCE_S = 1.0  # of a call for which all others must be waited for
AT_ONCE = 12  # calls of a process
PART_BYTES = 8 * 1024**2
PARTS_AT_A_TIME = 2  # of one upload: what is held of a stream in memory
EXPIRE_TAG = "vl-expire"

_making = PerProcess("S3 connections", threading.Lock)


@cache
def _session(access_key: str | None, secret_key: str | None) -> boto3.Session:
    """One for the process: each reads megabytes of service descriptions."""
    return boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key)


def is_silence(error: BaseException) -> bool | None:
    """Whether nobody answered; None when the error says nothing of S3."""
    if isinstance(error, HTTPClientError | ConnectionError | HTTPError):
        return True
    return False if isinstance(error, ClientError | FileNotFoundError) else None


class S3Store(S3Storage):
    """django-storages' S3, with bounded waiting and memory, and files that are read as they arrive.

    While S3 is silent most calls fail at once (`AwayError`): a process has threads for something else, too.
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
        """The breaker of this process: a forked child knows nothing of its parent's calls."""
        return self._breaker()

    @property
    def connection(self) -> Any:
        """This thread's connection. Sessions may not be used by two threads at once, but are slow to make."""
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
        """Lets S3 remove a file `days` after it was written, or keep it."""
        key = {"Bucket": self.bucket_name, "Key": self._normalize_name(clean_name(name))}
        client = self.connection.meta.client
        with self.breaker.guard():
            if days in TTL_DAYS:
                client.put_object_tagging(**key, Tagging={"TagSet": [{"Key": EXPIRE_TAG, "Value": str(days)}]})
            else:
                client.delete_object_tagging(**key)

    def rules_put(self) -> None:
        """Gives the S3 bucket a rule for every number of days; other rules stay."""
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
    """An object's bytes from S3, asked for when they are read, from where the reader stands."""

    def __init__(self, client: Any, bucket: str, key: str, breaker: Breaker) -> None:
        self.client, self.bucket, self.key, self.breaker = client, bucket, key, breaker
        self.position = 0
        self.size, self.body = self._get(0)

    def _get(self, start: int) -> tuple[int, Any]:
        """Size of the whole object and the body from `start` on. Raises FileNotFoundError."""
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
