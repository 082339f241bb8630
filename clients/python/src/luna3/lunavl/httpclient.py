"""The client."""

# ruff: noqa: N802, N803 (the names of luna3)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from luna_platform import ApiError, Client, Content, Form
from luna_platform.client import Options

from luna3.common.http_objs import BinaryImage, LunaResponse
from luna3.python_matcher.match_objects import Candidates, Reference


class LunaHttpClient:
    """A client of the API.

    `accountId`: the header `Luna-Account-Id`, which a platform accepts only if its operator allows it. `token`, or
    `login` and `password`, prove the account otherwise. With `raiseError`, methods raise `luna_platform.ApiError`.
    """

    def __init__(
        self,
        accountId: str | None = None,
        origin: str = "http://127.0.0.1:5000",
        token: str | None = None,
        login: str | None = None,
        password: str | None = None,
    ) -> None:
        given = {"account_id": accountId, "token": token, "login": login, "password": password}
        options: Options = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
        self.client = Client(origin, **options)

    def saveSample(self, image: BinaryImage, raiseError: bool = False) -> LunaResponse:
        """Store a warped face as a sample."""
        return _response(201, raiseError, lambda: self.client.post_face_samples(image.path))

    def detectFaces(self, images: Sequence[BinaryImage], raiseError: bool = False, **params: object) -> LunaResponse:
        """Detect the faces of pictures and store their samples. `params`: of `POST /6/detector`."""
        form = Form([Content.of(each.path) for each in images])
        return _response(201, raiseError, lambda: self.client.post_detector(form, params=params))

    def extractAttrFromSample(
        self, sampleIds: Sequence[str], raiseError: bool = False, **params: object
    ) -> LunaResponse:
        """Extract temporary attributes of samples. `params`: of `POST /6/extractor`."""
        return _response(201, raiseError, lambda: self.client.post_extractor([*sampleIds], params=params))

    def createFace(
        self,
        attributeId: str | None = None,
        userData: str | None = None,
        externalId: str | None = None,
        listsId: Sequence[str] | None = None,
        raiseError: bool = False,
    ) -> LunaResponse:
        """Create a face of a temporary attribute."""
        given = {
            "attribute": None if attributeId is None else {"attribute_id": attributeId},
            "user_data": userData,
            "external_id": externalId,
            "lists": None if listsId is None else [*listsId],
        }
        body: Any = {name: value for name, value in given.items() if value is not None}
        return _response(201, raiseError, lambda: self.client.post_faces(body))

    def matchFaces(
        self, references: Sequence[Reference], candidates: Sequence[Candidates], raiseError: bool = False
    ) -> LunaResponse:
        """Match references with candidates."""
        body: Any = {
            "references": [each.asDict for each in references],
            "candidates": [each.asDict for each in candidates],
        }
        return _response(200, raiseError, lambda: self.client.post_match_faces(body))


def _response(status: int, raise_error: bool, send: Callable[[], Any]) -> LunaResponse:
    try:
        return LunaResponse(status, send())
    except ApiError as error:
        if raise_error:
            raise
        return LunaResponse(error.status, {"error_code": error.error_code, "desc": error.desc, "detail": error.detail})
