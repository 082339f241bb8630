"""Two versions of descriptors side by side: which one is given and compared, and how one ends."""

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Descriptor, sdk_decode
from apps.common.scope import Scope
from apps.descriptors.versions import descriptors_drop
from apps.events.models import EventDescriptor
from apps.faces.models import FaceDescriptor
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, sample
from tests.api.handlers.requests import extract, generate, samples_of
from tests.api.handlers.second_version import (
    BODY,
    FIRST,
    FORMER,
    SECOND,
    command,
    enrol,
    numbers,
    run,
    stored_face,
    stored_sample,
)
from tests.factories import make_account, make_event, unit_vectors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("second")]


def matched(client: Client, face_id: str, version: int | None = None) -> Any:
    body = {
        "references": [{"type": "face", "id": face_id}],
        "candidates": [{"filters": {"origin": "faces"}, "limit": 10}],
    }
    query = "" if version is None else f"?descriptor_version={version}"
    return client.post(f"/6/matcher/faces{query}", body, JSON)


def similarities(client: Client, face_id: str, version: int | None = None) -> dict[str, float]:
    answer = matched(client, face_id, version)
    assert answer.status_code == 200, answer.json()
    result = answer.json()[0]["matches"][0]["result"]
    return {each["face"]["face_id"]: each["similarity"] for each in result}


class TestMatching:
    def test_each_default_compares_its_own_version(self, client: Client, use: Callable[[int], None]) -> None:
        woman, man = enrol(client, astronaut()), enrol(client, sample(1))
        before = similarities(client, woman)
        assert before[woman] == pytest.approx(1.0, abs=1e-4)
        use(SECOND)
        answer = matched(client, woman)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 22018)
        assert "faces: 2 extracted, 0 without samples" in command()
        after = similarities(client, woman)
        assert after.keys() == before.keys() == {woman, man}
        assert after[man] != pytest.approx(before[man], abs=1e-3)
        use(FIRST)
        assert similarities(client, woman) == before
        assert numbers(woman) == numbers(man) == [FIRST, SECOND]

    def test_three_versions_while_the_default_changes(self, client: Client, use: Callable[[int], None]) -> None:
        """A base of the former default's, then the embedded default's and a user's: none is lost or mixed."""
        use(FORMER)
        woman, man = enrol(client, astronaut()), enrol(client, sample(1))
        seen = {FORMER: similarities(client, woman)}
        use(FIRST)
        assert matched(client, woman).json()["error_code"] == 22018
        for number in (FIRST, SECOND):
            assert "faces: 2 extracted" in command(number=number)
        assert numbers(woman) == numbers(man) == [FORMER, FIRST, SECOND]
        for number in (FORMER, FIRST, SECOND, FORMER, FIRST):
            use(number)
            found = similarities(client, woman)
            assert found == seen.setdefault(number, found)
            assert found[woman] == pytest.approx(1.0, abs=1e-4)
        assert len({round(found[man], 3) for found in seen.values()}) == 3

    def test_candidates_without_the_version_are_not_compared(self, client: Client, use: Callable[[int], None]) -> None:
        old = enrol(client, astronaut())
        use(SECOND)
        new = enrol(client, astronaut())
        assert numbers(new) == [SECOND]
        assert similarities(client, new).keys() == {new}
        use(FIRST)
        assert similarities(client, old).keys() == {old}

    def test_a_request_chooses_the_version(self, client: Client) -> None:
        """Without `descriptor_version` it is the default."""
        woman, man = enrol(client, astronaut()), enrol(client, sample(1))
        command()
        default, chosen = similarities(client, woman), similarities(client, woman, SECOND)
        assert default == similarities(client, woman, FIRST)
        assert default.keys() == chosen.keys() == {woman, man}
        assert default[man] != pytest.approx(chosen[man], abs=1e-3)
        for version, code in ((4242, 12036), (BODY, 12036), (0, 12012), (1002, 22018)):
            assert matched(client, woman, version).json()["error_code"] == code

    def test_the_extractor_gives_the_version_that_is_asked_for(self, client: Client) -> None:
        (sample_id,) = samples_of(client)
        for query, version in (("", FIRST), (f"?descriptor_version={SECOND}", SECOND)):
            attribute_id = extract(client, [sample_id], query).json()[0]["attribute_id"]
            shown = client.get(f"/6/attributes/{attribute_id}", {"targets": "face_descriptor"}).json()
            assert [each["version"] for each in shown["face_descriptor"]] == [version]
        for version in (4242, 1002, BODY):
            answer = extract(client, [sample_id], f"?descriptor_version={version}")
            assert (answer.status_code, answer.json()["error_code"]) == (400, 200003)

    def test_the_sdk_gives_the_version_that_is_asked_for(self, client: Client) -> None:
        def descriptor(query: str) -> Any:
            answer = client.post(f"/6/sdk?estimate_face_descriptor=1{query}", astronaut(), JPEG).json()
            if "error_code" in answer:
                return answer["error_code"]
            block = answer["images_estimations"][0]["estimations"][0]["face"]["attributes"]["descriptor"]
            return sdk_decode(base64.b64decode(block["sdk_descriptor"]))[0].version

        assert descriptor("") == FIRST
        assert descriptor(f"&descriptor_version={SECOND}") == SECOND
        assert descriptor(f"&descriptor_version={BODY}") == descriptor("&descriptor_version=4242") == 200003
        assert client.post(f"/6/sdk?descriptor_version={SECOND}", astronaut(), JPEG).status_code == 200

    def test_policies_compare_the_default_version(self, client: Client, use: Callable[[int], None]) -> None:
        face_id = enrol(client, astronaut())
        path = make_handler(client, {"match_policy": [{"label": "all", "candidates": {"origin": "faces"}}]})
        use(SECOND)
        (event,) = generate(client, path, astronaut())["events"]
        assert [each["face"]["face_id"] for each in event["matches"][0]["candidates"]] == []
        use(FIRST)
        (event,) = generate(client, path, astronaut())["events"]
        assert [each["face"]["face_id"] for each in event["matches"][0]["candidates"]] == [face_id]

    def test_replacing_an_attribute_leaves_nothing_of_the_old_one(self, client: Client) -> None:
        face_id, other = enrol(client, astronaut()), samples_of(client, sample(1))[0]
        command()
        attribute_id = extract(client, [other]).json()[0]["attribute_id"]
        answer = client.put(f"/6/faces/{face_id}/attributes", {"attribute_id": attribute_id}, JSON)
        assert (answer.status_code, numbers(face_id)) == (204, [FIRST])
        command()
        rows = FaceDescriptor.objects.filter(face__face_id=face_id)
        assert [(row.version, row.generation) for row in rows.order_by("version")] == [(FIRST, 1), (SECOND, 1)]


class TestDrop:
    def drop(self, *words: object, number: int = SECOND) -> str:
        text = io.StringIO()
        call_command("drop_descriptors", "--descriptor-version", str(number), *map(str, words), stdout=text)
        return text.getvalue()

    def test_a_version_ends(self, client: Client, account: Account) -> None:
        face_id = enrol(client, astronaut())
        command()
        assert "faces: 1 to delete" in self.drop("--dry-run")
        assert numbers(face_id) == [FIRST, SECOND]
        assert "faces: 0 deleted" in self.drop("--account", make_account().account_id)
        assert "faces: 1 deleted" in self.drop("--account", account.account_id)
        assert numbers(face_id) == [FIRST]
        assert AuditRecord.objects.filter(action="delete", object_id=f"version {SECOND}").count() == 2

    @pytest.mark.parametrize("account_id", ["", "everybody"])
    def test_an_account_that_is_none_is_not_everybody(self, client: Client, account_id: str) -> None:
        face_id = enrol(client, astronaut())
        command()
        with pytest.raises(CommandError, match="must be a UUID"):
            self.drop("--account", account_id)
        assert numbers(face_id) == [FIRST, SECOND]

    def test_the_default_stays(self, client: Client) -> None:
        face_id = enrol(client, astronaut())
        with pytest.raises(CommandError, match="default"):
            self.drop("--force", number=FIRST)
        with pytest.raises(ValueError, match="default"):
            next(descriptors_drop(objects="faces", scope=Scope(None), number=FIRST, force=True))
        assert numbers(face_id) == [FIRST]

    def test_the_last_descriptor_goes_by_force_only_and_comes_back(
        self, account: Account, use: Callable[[int], None]
    ) -> None:
        alone = stored_face(account, stored_sample(account, "red"))
        both = stored_face(account, stored_sample(account, "red"))
        run()
        FaceDescriptor.objects.filter(face=alone, version=SECOND).delete()
        use(SECOND)
        with pytest.raises(CommandError, match="1 faces would lose their only descriptor"):
            self.drop(number=FIRST)
        assert [sum(descriptors_drop(objects="faces", scope=Scope(None), number=FIRST))] == [1]
        assert (numbers(str(alone.face_id)), numbers(str(both.face_id))) == ([FIRST], [SECOND])
        assert "faces: 1 deleted" in self.drop("--force", number=FIRST)
        assert numbers(str(alone.face_id)) == []
        assert [batch.extracted for batch in run()] == [1]
        assert numbers(str(alone.face_id)) == [SECOND]

    def test_events_too(self, account: Account) -> None:
        vectors = unit_vectors(1, 128)[0], unit_vectors(1, 3)[0]
        make_event(account, Descriptor(FIRST, vectors[0]), Descriptor(SECOND, vectors[1]))
        assert "events: 1 deleted" in self.drop("--events")
        assert EventDescriptor.objects.get().version == FIRST
        assert "events: 0 deleted" in self.drop("--events", number=9105)  # an unknown network
