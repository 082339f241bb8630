"""Matching of events with stored objects: match_policy, and tags by similarity."""

import pytest
from django.test import Client

from apps.accounts.models import Account
from tests.api.handlers.helpers import astronaut, make_handler, sample
from tests.api.handlers.requests import generate, make_list
from tests.factories import client_of, make_account

pytestmark = pytest.mark.django_db


class TestMatching:
    def enrol(self, client: Client, picture: bytes, list_id: str, external_id: str) -> str:
        policies = {
            "detect_policy": {"multiface_policy": 2},
            "storage_policy": {"face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]}},
        }
        body = generate(client, make_handler(client, policies), picture, query=f"?external_id={external_id}")
        face_id: str = body["events"][0]["face"]["face_id"]
        return face_id

    def test_someone_known_is_tagged(self, client: Client, account: Account) -> None:
        list_id = make_list(client)
        face_id = self.enrol(client, astronaut(), list_id, "eileen")
        policies = {
            "match_policy": [{"label": "crew", "candidates": {"list_id": list_id}, "threshold": 0.5}],
            "conditional_tags_policy": [
                {"tag": "known", "filters": {"match": [{"label": "crew", "similarity__gte": 0.9}]}},
                {"tag": "unknown", "filters": {"match": [{"label": "crew", "similarity__lt": 0.9}]}},
            ],
            "storage_policy": {
                "face_policy": {
                    "store_face": 1,
                    "filters": {"match": [{"label": "crew", "similarity__lt": 0.9}]},
                }
            },
        }
        (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        (match,) = event["matches"]
        (candidate,) = match["candidates"]
        assert (match["label"], candidate["face"]["face_id"]) == ("crew", face_id)
        assert (candidate["face"]["external_id"], candidate["face"]["lists"]) == ("eileen", [list_id])
        assert candidate["event"] is None
        assert candidate["similarity"] > 0.99
        assert event["tags"] == ["known"]
        assert event["face"] is None
        stored = client.get(event["url"]).json()
        assert stored["match_result"] == event["matches"]
        assert event["top_match"] == stored["top_match"] == {
            "label": "crew", "similarity": candidate["similarity"], "face_id": face_id, "event_id": None,
            "external_id": "eileen",
        }  # fmt: skip

    def test_one_woman_is_in_two_photographs(self, client: Client) -> None:
        list_id = make_list(client)
        enroller = {
            "storage_policy": {"face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]}}
        }
        known = generate(client, make_handler(client, enroller), sample(1))["events"]
        policies = {"match_policy": [{"label": "seen", "candidates": {"list_id": list_id}, "limit": 1}]}
        events = generate(client, make_handler(client, policies), sample(3))["events"]
        best = sorted(event["matches"][0]["candidates"][0]["similarity"] for event in events)
        assert len(known) >= 2
        assert best[-1] > 0.9
        assert all(similarity < best[-1] for similarity in best[:-1])

    def test_targets_limit_threshold_and_filters_of_a_policy(self, client: Client) -> None:
        list_id = make_list(client)
        for name in ("a", "b"):
            self.enrol(client, astronaut(), list_id, name)
        candidates = {"origin": "faces", "list_id": list_id}
        policies = {
            "extract_policy": {"extract_basic_attributes": 1},
            "match_policy": [
                {"label": "all", "candidates": candidates, "targets": ["face_id"]},
                {"label": "one", "candidates": candidates, "limit": 1},
                {"label": "men", "candidates": candidates, "filters": {"gender": [1]}},
                {"label": "again", "candidates": candidates, "filters": {"match": [{"label": "all"}]}},
                {"label": "nobody", "candidates": {"external_ids": ["c"]}},
                {"label": "before", "candidates": {"list_id": list_id, "create_time__lt": "now-1h"}},
            ],
        }
        (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        matches = {each["label"]: each["candidates"] for each in event["matches"]}
        assert {label: len(found) for label, found in matches.items()} == {
            "all": 2, "one": 1, "again": 2, "nobody": 0, "before": 0,
        }  # fmt: skip
        assert set(matches["all"][0]["face"]) == {"face_id"}

    def test_events_as_candidates(self, client: Client) -> None:
        handler = make_handler(client)
        (first,) = generate(client, handler, astronaut(), query="?source=door&external_id=x")["events"]
        generate(client, handler, astronaut(), query="?source=window")
        policies = {"match_policy": [{"label": "seen", "candidates": {"origin": "events", "sources": ["door"]}}]}
        (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        (candidate,) = event["matches"][0]["candidates"]
        assert candidate["face"] is None
        assert candidate["event"]["event_id"] == first["event_id"]
        assert (candidate["event"]["source"], candidate["event"]["external_id"]) == ("door", "x")
        top = {"label": "seen", "similarity": candidate["similarity"], "face_id": None, "event_id": first["event_id"],
               "external_id": "x"}  # fmt: skip
        assert event["top_match"] == client.get(event["url"]).json()["top_match"] == top

    def test_temporary_attributes_as_candidates(self, client: Client) -> None:
        keeping = make_handler(client, {"storage_policy": {"attribute_policy": {"store_attribute": 1}}})
        (first,) = generate(client, keeping, astronaut())["events"]
        attribute_id = first["face_attributes"]["attribute_id"]
        candidates = {"origin": "attributes", "attribute_ids": [attribute_id]}
        policies = {
            "match_policy": [{"label": "visitors", "candidates": candidates, "threshold": 0.9}],
            "conditional_tags_policy": [
                {"tag": "again", "filters": {"match": [{"label": "visitors", "similarity__gte": 0.9}]}}
            ],
        }
        handler = make_handler(client, policies)
        shown = client.get(handler).json()["policies"]["match_policy"][0]["candidates"]
        assert shown == candidates
        (event,) = generate(client, handler, astronaut())["events"]
        (candidate,) = event["matches"][0]["candidates"]
        assert candidate["attribute"]["attribute_id"] == attribute_id
        assert (candidate["face"], candidate["event"], event["tags"]) == (None, None, ["again"])
        stored = client.get(event["url"]).json()
        assert stored["match_result"] == event["matches"]
        assert event["top_match"] == stored["top_match"] == {
            "label": "visitors", "similarity": candidate["similarity"], "face_id": None, "event_id": None,
            "external_id": None,
        }  # fmt: skip
        stranger = client_of(make_account())
        (other,) = generate(stranger, make_handler(stranger, policies), astronaut())["events"]
        assert other["matches"] == [{"label": "visitors", "candidates": []}]

    def test_other_accounts_are_never_candidates(self, client: Client) -> None:
        stranger = client_of(make_account())
        list_id = make_list(stranger)
        self.enrol(stranger, astronaut(), list_id, "theirs")
        for candidates in ({"list_id": list_id}, {}, {"origin": "events"}):
            policies = {"match_policy": [{"label": "a", "candidates": candidates}]}
            handler = make_handler(client, policies | {"storage_policy": {"event_policy": {"store_event": 0}}})
            (event,) = generate(client, handler, astronaut())["events"]
            assert event["matches"] == [{"label": "a", "candidates": []}]
