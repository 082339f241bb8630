"""The exception handler of the API."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from django.http.request import RawPostDataException
from psycopg.errors import LockNotAvailable, QueryCanceled
from rest_framework import exceptions
from rest_framework.response import Response

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.integrity import lost_account
from apps.common.limits import body_too_large
from apps.common.validation import describe_validation

logger = logging.getLogger(__name__)


def as_luna_error(error: Exception) -> LunaError | None:
    """Convert an exception of DRF, Django or the database into a LunaError. Return None for any other exception."""
    if isinstance(error, LunaError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return LunaError(errors.INVALID_JSON, describe_validation(error.detail))
    if isinstance(error, exceptions.ParseError):
        return LunaError(errors.NO_JSON)
    if isinstance(error, exceptions.MethodNotAllowed):
        return LunaError(errors.METHOD_NOT_ALLOWED)
    if isinstance(error, exceptions.NotAcceptable):
        return LunaError(errors.UNACCEPTABLE_CONTENT_TYPE)
    if isinstance(error, exceptions.UnsupportedMediaType):
        return LunaError(errors.BAD_CONTENT_TYPE)
    if isinstance(error, exceptions.NotAuthenticated):
        return LunaError(errors.CREDENTIALS_REQUIRED)
    if isinstance(error, PermissionDenied | exceptions.PermissionDenied):
        return LunaError(errors.ACCESS_DENIED)
    if isinstance(error, Http404 | exceptions.NotFound):
        return LunaError(errors.PAGE_NOT_FOUND)
    if isinstance(error, RequestDataTooBig):
        return body_too_large()
    if isinstance(error, SuspiciousOperation):  # a form with too many parts
        return LunaError(
            errors.INVALID_REQUEST,
            "the form has more fields or files than `DATA_UPLOAD_MAX_NUMBER_FIELDS` or `_FILES` allows",
        )
    if isinstance(error, RawPostDataException):
        return LunaError(errors.NO_DATA)
    if isinstance(error, DataError):
        return LunaError(errors.BAD_VALUE, "the database cannot store a value")
    if isinstance(error, IntegrityError) and (account_id := lost_account(error)):
        return LunaError(errors.ACCOUNT_NOT_FOUND, account_id)
    if isinstance(error, OperationalError) and isinstance(error.__cause__, QueryCanceled | LockNotAvailable):
        logger.error("Database timeout: %s", error)
        return LunaError(errors.DATABASE_TIMEOUT, status=503, headers={"Retry-After": "1"})
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("Database unavailable: %s", error)
        return LunaError(errors.DATABASE_UNAVAILABLE)
    return None


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer with `{error_code, desc, detail, link}`. Log an unexpected exception and answer with INTERNAL_ERROR."""
    luna_error = as_luna_error(error)
    if luna_error is None:
        logger.exception("Unhandled exception in %s", context.get("view"))
        luna_error = LunaError(errors.INTERNAL_ERROR)
    return Response(luna_error.body(), status=luna_error.status, headers=luna_error.headers)
