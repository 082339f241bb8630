"""Clustering over HTTP, from the request to the result."""

import pytest

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, versions
from apps.faces.services import face_create
from apps.faces.types import AttributeData, FaceDraft
from tests.factories import client_of, unit_vectors
from tests.tasks import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


def test_from_request_to_result(account: Account) -> None:
    client, version = client_of(account), versions.default("face")
    first, second = unit_vectors(2, version.dimension)
    ids = []
    for vector in (second, first, second):
        attribute = AttributeData(descriptors=(Descriptor(version.version, vector),))
        ids.append(str(face_create(account_id=account.pk, draft=FaceDraft(attribute=attribute)).face_id))
    content = {"objects_type": "faces", "threshold": 0.9, "filters": {"create_time__gte": "now-1d"}}
    created = client.post("/6/tasks/clustering", {"content": content}, content_type="application/json")
    assert created.status_code == 202
    run_all()
    url = created.json()["url"]
    task = client.get(url).json()
    assert (task["task_status"], task["task_type"]) == (5, 2)
    answer = client.get(f"{url}/result").json()
    assert answer["errors"] == []
    assert answer["result"]["clusters"] == [[ids[0], ids[2]], [ids[1]]]
    assert answer["result"]["false_match_rate"] == pytest.approx(1e-4)
