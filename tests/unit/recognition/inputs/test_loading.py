"""Images are loaded without a request: a background task does the same as a view, and leaves the same audit lines."""

from uuid import UUID, uuid4

import pytest

from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account, AuditRecord
from apps.common.errors import LunaError
from apps.imagestore.choices import Bucket
from apps.imagestore.services import samples_store
from apps.imagestore.types import NewObject
from apps.recognition.inputs.loading import inputs_load, samples_load
from apps.recognition.inputs.types import ImageReference, InputReferences
from apps.recognition.types import ImageType, Rect
from tests.factories import make_account

pytestmark = pytest.mark.django_db(transaction=True)

FIVE = [[1.0, 2.0]] * 5


@pytest.fixture
def account() -> Account:
    return make_account()


def stored(account: Account, bucket: Bucket = Bucket.FACE_SAMPLES, data: bytes = b"warp") -> UUID:
    item = NewObject(
        account_id=account.account_id,
        bucket=bucket,
        data=data,
        content_type="image/jpeg",
        meta={"landmarks5": FIVE} if bucket is Bucket.FACE_SAMPLES else {},
    )
    samples_store(items=[item])
    return item.object_id


def lines() -> list[tuple[str, str | None, UUID | None]]:
    rows = AuditRecord.objects.filter(action="view").order_by("id")
    return [(row.object_type, row.object_id, row.account_id) for row in rows]


def test_references_of_every_form_keep_their_order(account: Account) -> None:
    sample, image, foreign = stored(account), stored(account, Bucket.IMAGES, b"image"), stored(make_account())
    box = Rect(1, 2, 3, 4)
    references = InputReferences(
        images=(
            ImageReference(sample_id=foreign, filename="foreign"),
            ImageReference(data=b"bytes", filename="bytes", face_boxes=(box,), trusted_boxes=True),
            ImageReference(url=f"/6/images/{image}", filename="image"),
            ImageReference(error=LunaError(18001), filename="bad"),
            ImageReference(sample_id=sample, filename="sample"),
        ),
        meta={"a": 1},
    )
    inputs = inputs_load(references=references, account_id=account.account_id, actor=Actor(account.account_id))
    assert [(each.image.filename, each.image.data) for each in inputs.pictures] == [
        ("foreign", b""), ("bytes", b"bytes"), ("image", b"image"), ("bad", b""), ("sample", b"warp"),
    ]  # fmt: skip
    assert [each.error and each.error.code for each in inputs.pictures] == [11031, None, None, 18001, None]
    assert [each.image.image_type for each in inputs.pictures][1:] == [
        ImageType.RAW, ImageType.RAW, ImageType.RAW, ImageType.FACE_WARP,
    ]  # fmt: skip
    assert (inputs.pictures[1].image.face_boxes, inputs.pictures[1].image.trusted_boxes) == ((box,), True)
    points = inputs.pictures[4].image.landmarks5
    assert points is not None
    assert points.tolist() == FIVE
    assert inputs.meta == {"a": 1}
    owner = account.account_id
    assert sorted(lines()) == [("face_sample", str(sample), owner), ("image", str(image), owner)]


def test_what_the_client_may_not_view_is_absent_and_not_audited(account: Account) -> None:
    references = InputReferences(
        images=(
            ImageReference(sample_id=stored(account)),
            ImageReference(url=f"/6/images/{stored(account, Bucket.IMAGES)}"),
        )
    )
    for denied in (
        inputs_load(references=references, account_id=None),
        inputs_load(references=references, account_id=account.account_id, readable=lambda kind: False),
    ):
        assert [each.error and each.error.code for each in denied.pictures] == [11031, 11027]
    assert lines() == []


def test_the_platform_itself_leaves_audit_lines_without_an_actor(account: Account) -> None:
    sample = stored(account)
    references = InputReferences(images=(ImageReference(sample_id=sample),))
    inputs_load(references=references, account_id=account.account_id)
    assert lines() == [("face_sample", str(sample), None)]


def test_samples_are_loaded_all_or_none(account: Account) -> None:
    sample = stored(account)
    with pytest.raises(LunaError) as caught:
        samples_load(sample_ids=[sample, uuid4()], account_id=account.account_id)
    assert caught.value.code == 11031
    assert lines() == []
    (image,) = samples_load(sample_ids=[sample], account_id=account.account_id)
    assert (image.data, image.image_type) == (b"warp", ImageType.FACE_WARP)
    assert lines() == [("face_sample", str(sample), None)]
