"""A second version of the descriptors of faces, and two of bodies, beside the embedded one."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.test import Client
from PIL import Image

from apps.accounts.models import Account
from apps.common.descriptors import Calibration, Descriptor, DescriptorVersion, versions
from apps.common.scope import Scope
from apps.descriptors.extraction import AdditionalExtraction, Batch
from apps.faces import services
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from apps.recognition.run import facade
from tests.api.handlers.helpers import JPEG, JSON, encoded
from tests.api.handlers.test_samples import extract, samples_of
from tests.factories import unit_vectors
from tests.unit.recognition.graphs import channel_means, directory_with_embedded, engine_of, install

FIRST, SECOND, BODY, OTHER_BODY = 1004, 2001, 2004, 2005
FORMER = 1001  # the default of older bases, whose network is still installed
POINTS = [[-1.0, 0.0], [0.9, 0.2], [1.0, 1.0]]
ALIGNMENT = {
    "crop": [32, 32], "template": [[11, 14], [21, 14], [16, 20], [12, 26], [20, 26]], "mirror_average": True,
    "mesh_points": [[33, 133], [362, 263], [1], [61], [291]],
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded networks, and by their side one of faces and two of bodies that tell mean colours."""
    found = directory_with_embedded(tmp_path_factory.mktemp("networks"))
    for number, task, size in ((SECOND, "face_descriptor", 32), (BODY, "body_descriptor", 64),
                               (OTHER_BODY, "body_descriptor", 48)):  # fmt: skip
        install(
            found, channel_means(size=size).model(), name=f"tiny-{number}", task=task, use=number == BODY,
            outputs=[{"name": "values", "shape": [3]}],
            entry={"shape": [3, size, size], "layout": "NCHW", "colour": "RGB", "mean": [100.0], "std": [255.0]},
            descriptor={
                "version": number, "dimension": 3, "raw_encoding": "float32-le", "match_cosine": 0.9,
                "possible_cosine": 0.8, "calibration": POINTS, "calibrated_on": "nothing",
                **({"alignment": ALIGNMENT} if task == "face_descriptor" else {}),
            },
        )  # fmt: skip
    return found


@pytest.fixture
def second(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both versions are known, the first one is the default."""
    engine = engine_of(directory)
    monkeypatch.setattr(facade._engine, "value", engine)
    calibration = Calibration(tuple((cosine, similarity) for cosine, similarity in POINTS))
    for number, kind in ((SECOND, "face"), (BODY, "body"), (OTHER_BODY, "body")):
        versions.register(DescriptorVersion(number, kind, f"tiny-{number}", 3, "float32-le", calibration))  # type: ignore[arg-type]
    yield
    engine.close()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a version the default, as `networks use` and a start do."""

    def chosen(number: int) -> None:
        monkeypatch.setitem(versions._defaults, "face", number)
        engine = facade.engine()
        tasks = {**engine.tasks, "face_descriptor": engine.descriptor_networks()[number]}
        monkeypatch.setattr(engine, "_tasks", tasks)

    return chosen


def enrol(client: Client, data: bytes, **columns: str) -> str:
    """A face from a photograph, the sequential way. Its id."""
    answer = extract(client, samples_of(client, data)[:1])
    made = client.post("/6/faces", {"attribute": {"attribute_id": answer.json()[0]["attribute_id"]}, **columns}, JSON)
    assert made.status_code == 201, made.json()
    face_id: str = made.json()["face_id"]
    return face_id


def command(*words: object, number: int = SECOND) -> str:
    text = io.StringIO()
    call_command("additional_extract", "--descriptor-version", str(number), *map(str, words), stdout=text, stderr=text)
    return text.getvalue()


def numbers(face_id: str) -> list[int]:
    rows = FaceDescriptor.objects.filter(face__face_id=face_id).order_by("version")
    return list(rows.values_list("version", flat=True))


def run(**changes: Any) -> list[Batch]:
    chosen: dict[str, Any] = {"objects": "faces", "version": versions.get(SECOND), "scope": Scope(None)} | changes
    return list(AdditionalExtraction(**chosen).run())


def stored_face(account: Account, *samples: UUID, version: int = FIRST) -> Face:
    dimension = versions.get(version).dimension
    descriptor = Descriptor(version, unit_vectors(1, dimension)[0], 0.5)
    data = AttributeData(descriptors=(descriptor,), descriptor_samples=samples)
    return services.face_create(account_id=account.account_id, draft=FaceDraft(attribute=data))


def stored_sample(account: Account, colour: str) -> UUID:
    """A grey warp but for one colour, with points: nothing needs to be found in it."""
    data = encoded(Image.new("RGB", (250, 250), colour))
    meta = {"landmarks5": [[90, 110], [160, 110], [125, 150], [95, 180], [155, 180]]}
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=account.account_id, data=data, content_type=JPEG, meta=meta
    )  # fmt: skip
    return stored.object_id
