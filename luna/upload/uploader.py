"""The upload of one image: detector, extractor, faces."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from luna.upload.journal import Begun, Journal

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".bmp": "image/bmp",
    ".ppm": "image/x-portable-pixmap",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
"""The images that are uploaded, by suffix."""

TIMEOUT_S = 60.0
ATTEMPTS = 5
PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
NOT_ALLOWED, ALL = 0, 1  # values of `multiface_policy`
USER_DATA_CHARACTERS = 128
ATTRIBUTE_NOT_FOUND = 22011


class UploadError(Exception):
    """An image, or the upload, failed. The message is for the error log."""

    def __init__(self, message: str, error_code: int | None = None) -> None:
        super().__init__(message)
        self.error_code = error_code


class RefusedError(UploadError):
    """No image can be uploaded: wrong credentials, rights or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens to each image. `params`: of the detector. `list_id`: the list of all faces, None for none."""

    params: Mapping[str, Any]
    descriptor: bool
    basic_attributes: bool
    score_threshold: float
    avatar: bool
    major_face: bool
    name_as_user_data: bool
    list_id: str | None


class Api:
    """The platform. `headers`: the credentials."""

    def __init__(self, origin: str, headers: Mapping[str, str], connections: int) -> None:
        self._http = httpx.Client(
            base_url=origin.rstrip("/"),
            headers={**headers, "Accept": "application/json"},
            timeout=TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, key: str | None = None, **request: Any) -> Any:
        """Send a request, and again while the platform is busy or away. Return the decoded JSON.

        `key`: an idempotency key; without one, a request whose outcome is unknown is not repeated. Raises UploadError,
        or RefusedError where every further request would fail.
        """
        headers = {**request.pop("headers", {}), **({"Idempotency-Key": key} if key else {})}
        for attempt in range(1, ATTEMPTS + 1):
            pause_s = min(MAX_PAUSE_S, PAUSE_S * 2**attempt)
            try:
                answer = self._http.request(method, f"/6/{path}", headers=headers, **request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problem = f"{self._http.base_url} does not answer: {error}"
            except httpx.HTTPError as error:
                if key is None:
                    raise UploadError(f"{path}: {error!r}") from error
                problem = f"{path}: {error!r}"
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return _decoded(answer)
                problem = f"{path}: the platform is busy"
                pause_s = _retry_after_s(answer, pause_s)
            if attempt < ATTEMPTS:
                time.sleep(pause_s)
        raise UploadError(problem)


@dataclass(frozen=True, slots=True)
class Uploader:
    """Uploads images; one object serves all threads. Names of images are relative to the source."""

    api: Api
    plan: Plan
    journal: Journal
    source: Path

    def upload(self, name: str) -> None:
        """Upload an image and record the result. Raises RefusedError."""
        try:
            self.journal.succeeded(name, self._faces(name))
        except RefusedError:
            raise
        except UploadError as error:
            self.journal.failed(name, str(error))
            raise

    def repeat(self, begun: Begun) -> None:
        """Create the faces of an image whose upload was interrupted, unless they exist. Raises as `upload`."""
        try:
            self.journal.succeeded(begun.name, self._create(begun))
        except UploadError as error:
            if error.error_code != ATTRIBUTE_NOT_FOUND:
                self.journal.failed(begun.name, str(error))
                raise
            self.upload(begun.name)  # the temporary attributes have expired, and so have the kept responses

    def _faces(self, name: str) -> list[str]:
        samples = self._samples(name)
        try:
            attributes = self._attributes(samples)
        except UploadError:
            self._delete(samples)
            raise
        begun = Begun(name, tuple(self._body(name, sample, attribute) for sample, attribute in attributes))
        self.journal.begun(begun)
        return self._create(begun)

    def _samples(self, name: str) -> list[str]:
        """Return the samples of the image's faces. No other sample of the image stays stored."""
        path = self.source / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UploadError(f"The file cannot be read: {error.strerror}") from error
        answer = self.api.call(
            "POST",
            "detector",
            params=self.plan.params,
            content=data,
            headers={"Content-Type": TYPES[path.suffix.lower()]},
        )
        image = answer["images"][0]
        if image.get("status") == 0:
            problem = image["error"]
            raise UploadError(f"{problem['error_code']} {problem['desc']}: {problem['detail']}")
        faces = [each["face"] for each in image["detections"]["samples"] if each.get("face")]
        if not faces:
            raise UploadError("No face was found.")
        if not self.plan.major_face:
            return [face["sample_id"] for face in faces]
        major = max(faces, key=_extent)
        self._delete([face["sample_id"] for face in faces if face is not major])
        return [major["sample_id"]]

    def _delete(self, samples: list[str]) -> None:
        if samples:
            self.api.call("DELETE", "samples/faces", json={"sample_ids": samples})

    def _attributes(self, samples: list[str]) -> list[tuple[str, str | None]]:
        """Return each sample with its temporary attribute; None if nothing is to be extracted."""
        if not (self.plan.descriptor or self.plan.basic_attributes):
            return [(sample, None) for sample in samples]
        params: dict[str, float] = {
            "extract_descriptor": int(self.plan.descriptor),
            "extract_basic_attributes": int(self.plan.basic_attributes),
        }
        if self.plan.descriptor:
            params["fd_score_threshold"] = self.plan.score_threshold
        found = []
        for sample in samples:  # one by one: an attribute does not name its sample if the extractor leaves others out
            answer = self.api.call("POST", "extractor", params=params, json=[sample])
            if not answer:
                raise UploadError("The quality score of the face is below the threshold.")
            found.append((sample, answer[0]["attribute_id"]))
        return found

    def _body(self, name: str, sample: str, attribute: str | None) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if attribute is not None:
            body["attribute"] = {"attribute_id": attribute}
        if self.plan.avatar:
            body["avatar"] = f"/6/samples/faces/{sample}"
        if self.plan.name_as_user_data:
            body["user_data"] = Path(name).name[:USER_DATA_CHARACTERS]
        if self.plan.list_id is not None:
            body["lists"] = [self.plan.list_id]
        return body

    def _create(self, begun: Begun) -> list[str]:
        return [
            self.api.call("POST", "faces", json=body, key=self._key(begun.name, number))["face_id"]
            for number, body in enumerate(begun.bodies)
        ]

    def _key(self, name: str, number: int) -> str:
        """Return the idempotency key of the n-th face of an image: a repeated request creates no second face."""
        return hashlib.sha256(f"{self.source} {self.journal.start} {name} {number}".encode()).hexdigest()


def images(source: Path, *, recursive: bool) -> list[str]:
    """Return the names of the images of a folder, relative to it, in order. Raises OSError."""
    found = source.rglob("*") if recursive else source.iterdir()
    return sorted(str(path.relative_to(source)) for path in found if path.suffix.lower() in TYPES and path.is_file())


def _extent(face: Mapping[str, Any]) -> float:
    """Return the Manhattan distance between opposite corners of a face's rectangle, pixels."""
    rect = face["detection"]["rect"]
    return float(rect["width"] + rect["height"])


def _decoded(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        body = answer.json()
        code = int(body["error_code"])
        text = f"{code} {body['desc']}: {body['detail']}"
    except (ValueError, KeyError, TypeError):
        code, text = None, f"HTTP {answer.status_code}"
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise RefusedError(text, code)
    raise UploadError(text, code)


def _retry_after_s(answer: httpx.Response, otherwise: float) -> float:
    try:
        return min(MAX_PAUSE_S, float(answer.headers["Retry-After"]))
    except (KeyError, ValueError):
        return otherwise
