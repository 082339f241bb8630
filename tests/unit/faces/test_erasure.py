"""Temporary attributes of an account that is deleted."""

import pytest
import redis
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.services import account_delete
from apps.common.scope import Scope
from apps.faces.attributes import KEY, attribute_create, attributes_get
from tests.factories import make_account
from tests.unit.faces.helpers import attribute_data


@pytest.mark.django_db
def test_attributes_go_with_the_account(
    redis_client: redis.Redis, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    gone, staying = make_account(), make_account()
    made = [attribute_create(account_id=account.pk, data=attribute_data()) for account in (gone, staying)]
    redis_client.set(KEY.format("nonsense"), b"not ours")
    with django_capture_on_commit_callbacks(execute=True):
        account_delete(account=gone)
    left = attributes_get(scope=Scope(None), attribute_ids=[attribute.attribute_id for attribute in made])
    assert [attribute.account_id for attribute in left] == [staying.pk]
