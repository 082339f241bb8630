"""A program of a generated Python client: detector → extractor → face → matcher → handler → events.

It runs in a process of its own, with the generated package on its path: `walk.py URL PHOTO OTHER_PHOTO`, two
photographs of one person. It prints the similarity of the match as JSON.
"""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

from luna_client import AuthenticatedClient, Client
from luna_client.api.accounts import post_accounts
from luna_client.api.detector import post_detector
from luna_client.api.events import get_event, get_events
from luna_client.api.extractor import post_extractor
from luna_client.api.faces import get_face, post_faces
from luna_client.api.handlers import get_handler, post_event_generation, post_handlers
from luna_client.api.lists import delete_lists, post_lists
from luna_client.api.matcher import post_match_faces
from luna_client.api.samples import get_face_sample
from luna_client.api.tokens import post_tokens
from luna_client.models import (
    AccountBodyRequest,
    CandidateBodyRequest,
    CandidateFiltersRequest,
    DetectPolicyRequest,
    ErrorBody,
    EventsFormRequest,
    FaceAttributeBodyRequest,
    FaceBodyRequest,
    HandlerBodyRequest,
    ListBodyRequest,
    ListIdsBodyRequest,
    MatchBodyRequest,
    MatchPolicyRequest,
    PoliciesRequest,
    ReferenceBodyRequest,
    ReferenceBodyRequestType,
    TokenBodyRequest,
)
from luna_client.types import File


def walk(url: str, photo: Path, other_photo: Path) -> float:
    login, password = f"client-{uuid.uuid4().hex}@luna.test", "a long and secret phrase"
    checked(post_accounts.sync(client=Client(url), body=AccountBodyRequest(login=login, password=password)))
    basic = Client(url)
    basic.get_httpx_client().auth = (login, password)
    token = checked(post_tokens.sync(client=basic, body=TokenBodyRequest(), grant_all_permissions=1))
    client = AuthenticatedClient(url, token=token.token, timeout=60)

    list_id = checked(post_lists.sync(client=client, body=ListBodyRequest(user_data="guests"))).list_id
    found = checked(post_detector.sync(client=client, body=picture(photo), estimate_head_pose=1))
    (image,) = found.images
    face = max((each.face for each in image.detections.samples), key=lambda each: each.detection.rect.width)
    assert -90 < face.detection.attributes.head_pose.yaw < 90
    sample = checked(get_face_sample.sync(face.sample_id, client=client))
    assert sample.payload.read(2) == b"\xff\xd8"
    (attribute,) = checked(post_extractor.sync(client=client, body=[face.sample_id], extract_basic_attributes=1))
    assert attribute.basic_attributes.age > 0
    body = FaceBodyRequest(
        user_data="Ada", lists=[list_id], attribute=FaceAttributeBodyRequest(attribute_id=attribute.attribute_id)
    )
    face_id = checked(post_faces.sync(client=client, body=body)).face_id
    assert checked(get_face.sync(face_id, client=client)).lists == [list_id]

    asked = MatchBodyRequest(
        references=[ReferenceBodyRequest(type_=ReferenceBodyRequestType.ATTRIBUTE, id=str(attribute.attribute_id))],
        candidates=[CandidateBodyRequest(filters=CandidateFiltersRequest(list_id=list_id))],
    )
    (reference,) = checked(post_match_faces.sync(client=client, body=asked))
    assert reference.matches[0].result[0].face.face_id == face_id

    policies = PoliciesRequest(
        detect_policy=DetectPolicyRequest(estimate_head_pose=1, estimate_emotions=1),
        match_policy=[MatchPolicyRequest(label="guests", candidates=CandidateFiltersRequest(list_id=list_id), limit=1)],
    )
    handler = checked(post_handlers.sync(client=client, body=HandlerBodyRequest(policies=policies)))
    stored = checked(get_handler.sync(handler.handler_id, client=client))
    assert stored.policies.match_policy[0].candidates.list_id == list_id
    form = EventsFormRequest(image=[picture(other_photo)], detect_time="2026-03-14T09:26:53Z")
    generated = checked(post_event_generation.sync(handler.handler_id, client=client, body=form, tags=["walk"]))
    event = max(generated.events, key=lambda each: each.top_match.similarity)
    assert event.detections[0].samples.face.detection.attributes.emotions.predominant_emotion == "happiness"
    assert checked(get_event.sync(event.event_id, client=client)).top_match.face_id == face_id
    listed = checked(get_events.sync(client=client, event_ids=[event.event_id], tags=["walk"]))
    assert [each.event_id for each in listed.events] == [event.event_id]

    deleted = delete_lists.sync_detailed(client=client, body=ListIdsBodyRequest(list_ids=[list_id]))
    assert deleted.status_code == 204
    return float(event.top_match.similarity)


def picture(photo: Path) -> Any:
    return File(payload=photo.open("rb"), file_name=photo.name, mime_type="image/jpeg")


def checked(answer: Any) -> Any:
    assert answer is not None
    assert not isinstance(answer, ErrorBody), answer
    return answer


if __name__ == "__main__":
    print(json.dumps({"similarity": walk(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))}))
