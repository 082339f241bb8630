"""Files of an account that is deleted."""

from pathlib import Path

import pytest
from django.conf import settings
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.services import account_delete
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_store
from tests.factories import make_account

pytestmark = pytest.mark.django_db


def files_on_disk() -> set[str]:
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_files_go_with_the_account(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    gone, staying = make_account(), make_account()
    rows = [
        object_store(bucket=bucket, account_id=account.pk, data=b"\0", content_type="image/jpeg")
        for account in (gone, staying)
        for bucket in (Bucket.FACE_SAMPLES, Bucket.OBJECTS)
    ]
    assert all(any(str(row.object_id) in name for name in files_on_disk()) for row in rows)
    with django_capture_on_commit_callbacks(execute=True):
        account_delete(account=gone)
    names = files_on_disk()
    for row in rows:
        assert any(str(row.object_id) in name for name in names) == (row.account_id == staying.pk)
    assert {row.account_id for row in StoredObject.objects.unscoped()} == {staying.pk}
