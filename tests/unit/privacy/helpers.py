"""People with data in every room."""

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor
from apps.events.models import Event
from apps.faces import services
from apps.faces.attributes import attribute_create
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredBucket
from apps.imagestore.services import samples_store
from apps.imagestore.types import NewObject
from tests.factories import make_event, unit_vectors

VERSION = 904


class Person:
    """Person with recognisable data in every room."""

    def __init__(self, account: Account, name: str, seed: int) -> None:
        self.name = name
        self.jpeg = f"jpeg of {name}".encode()
        self.vector = unit_vectors(1, 16, seed)[0]
        key = account.account_id
        StoredBucket.objects.get_or_create(name="people")
        folder = "people/images"
        buckets = (Bucket.FACE_SAMPLES, Bucket.FACE_SAMPLES, Bucket.BODY_SAMPLES, Bucket.IMAGES, folder)
        self.stored = samples_store(
            items=[
                NewObject(account_id=key, bucket=bucket, data=self.jpeg, content_type="image/jpeg")
                for bucket in buckets
            ]
        )  # fmt: skip
        sample, avatar, body, image, elsewhere = (row.object_id for row in self.stored)
        data = AttributeData(
            (Descriptor(VERSION, self.vector, 0.9),), BasicData(age=33), descriptor_samples=(sample,)
        )  # fmt: skip
        self.temporary = attribute_create(account_id=key, data=data).attribute_id
        self.event = make_event(
            account,
            Descriptor(VERSION, self.vector, 0.9),
            external_id=name,
            user_data=f"about {name}",
            source="gate",
            age=33,
            meta={"name": name},
            track_id=name,
            face_detections=[{"sample_id": str(sample), "image_origin": f"http://host/6/images/{image}"}],
            body_detections=[{"sample_id": str(body), "image_origin": f"/1/buckets/{folder}/{elsewhere}"}],
        )
        self.face = services.face_create(
            account_id=key,
            draft=FaceDraft(
                external_id=name,
                user_data=f"about {name}",
                avatar=f"/6/samples/faces/{avatar}",
                event_id=self.event.event_id,
                attribute=data,
                attribute_id=self.temporary,
            ),
        )
        Event.objects.for_account(key).filter(pk=self.event.pk).update(face_id=self.face.face_id)


def mention(account: Account, *people: Person) -> Event:
    """Somebody's event in which people stand among the candidates."""
    candidates = [
        {"face": {"face_id": str(person.face.face_id), "user_data": person.name}, "similarity": 0.7}
        for person in people
    ]  # fmt: skip
    return make_event(
        account,
        match_result=[{"label": "all", "candidates": candidates}],
        top_similar_object_id=people[0].face.face_id,
        top_similar_object_type=0,
        top_similar_object_similarity=0.7,
        top_similar_external_id=people[0].name,
    )
