"""Error codes of storage failures. The cause appears in the log only."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError
from botocore.exceptions import ReadTimeoutError as S3ReadTimeoutError
from urllib3.exceptions import HTTPError

from apps.common import errors
from apps.common.breaker import AwayError
from apps.common.errors import LunaError
from apps.imagestore.choices import holds_pictures

logger = logging.getLogger(__name__)

# Codes of pictures and of other objects.
DISK = {
    "save": (errors.DISK_IMAGE_SAVE_FAILED, errors.DISK_OBJECT_SAVE_FAILED),
    "remove": (errors.DISK_IMAGE_DELETE_FAILED, errors.DISK_OBJECT_DELETE_FAILED),
    "get": (errors.DISK_IMAGE_READ_FAILED, errors.DISK_OBJECT_READ_FAILED),
}
S3 = {
    "save": (errors.S3_IMAGE_SAVE_FAILED, errors.S3_OBJECT_SAVE_FAILED),
    "remove": (errors.S3_IMAGE_DELETE_FAILED, errors.S3_OBJECT_DELETE_FAILED),
    "get": (errors.S3_IMAGE_READ_FAILED, errors.S3_OBJECT_READ_FAILED),
}
FAILURES = (OSError, BotoCoreError, ClientError, HTTPError)
FORBIDDEN = (401, 403)
RETRY_AFTER_S = "5"


@contextmanager
def storage_errors(bucket: str, action: str) -> Iterator[None]:
    """Convert storage failures to a LunaError; with status 503 when the circuit breaker rejects the call.

    `action` is save, get or remove.
    """
    try:
        yield
    except AwayError as error:
        logger.warning("Image Store cannot %s in bucket %s: %s", action, bucket, error)
        raise LunaError(errors.S3_REQUEST_FAILED, headers={"Retry-After": RETRY_AFTER_S}) from error
    except FAILURES as error:
        logger.exception("Image Store cannot %s in bucket %s", action, bucket)
        raise LunaError(failure_code(error, bucket, action)) from error


def failure_code(error: Exception, bucket: str, action: str) -> int:
    """Return the code of a storage failure: 19xxx for a disk, 20xxx for S3.

    S3 has codes for a refused connection, timeouts and denied access; the others depend on the action.
    """
    other = not holds_pictures(bucket)
    if isinstance(error, EndpointConnectionError):  # botocore's errors are also OSErrors
        return errors.S3_CONNECTION_REFUSED
    if isinstance(error, ConnectTimeoutError):
        return errors.S3_CONNECT_TIMEOUT
    if isinstance(error, S3ReadTimeoutError):
        return errors.S3_READ_TIMEOUT
    if isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] in FORBIDDEN:
        return errors.S3_FORBIDDEN
    plain = isinstance(error, OSError) and not isinstance(error, BotoCoreError)
    return (DISK if plain else S3)[action][other]
