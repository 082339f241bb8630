"""A table of the members of policies: what each of them changes in answers and in storage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from apps.common.secrets import Secret
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, ListFace
from apps.handlers.policies.detect import BODY_FLAGS, FACE_FLAGS
from apps.handlers.policies.face_quality import ChecksSerializer
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.recognition.vocabulary import ESTIMATIONS, Place
from apps.sender.models import Callback
from apps.sender.targets import TARGETS
from tests.api.handlers.helpers import JPEG, JSON

NOBODY = {"gender": [1]}  # the person of the photograph is female
ONE_VALUE = {"storage_policy.callbacks.authorization.type"}


@dataclass(frozen=True)
class Row:
    """`look` at what a request left: `before` with the `context`, `after` with the member's value beside it."""

    member: str
    value: Any
    look: Callable[["Seen"], Any]
    before: Any
    after: Any
    context: dict[str, Any] = field(default_factory=dict)
    filename: str = "a.jpg"


@dataclass(frozen=True)
class Seen:
    """The answer to a request, and all that is stored after it."""

    answer: Any
    keys: "redis.Redis"
    published: list[Any]
    queued: int  # events that are answered before they are stored

    @property
    def event(self) -> Any:
        (event,) = self.answer["events"]
        return event

    @property
    def row(self) -> Event:
        found: Event = Event.objects.unscoped().get()
        return found

    @property
    def face(self) -> Any:
        return self.event["detections"][0]["samples"]["face"]

    @property
    def body(self) -> Any:
        return self.event["detections"][0]["samples"]["body"]

    @property
    def events(self) -> tuple[int, int]:
        """Answered and stored events."""
        return len(self.answer["events"]), Event.objects.unscoped().count()

    @property
    def reasons(self) -> list[str]:
        rejected = self.answer["filtered_detections"]["face_detections"]
        return [reason["filter_name"] for each in rejected for reason in each["filter_reasons"]]

    @property
    def callback(self) -> dict[str, Any]:
        """The stored target of the callback, with its secrets revealed."""
        target = TARGETS[(row := Callback.objects.unscoped().get()).kind].unpacked(row.target)
        values = {name: getattr(target, name) for name in target.packed()}
        values["headers"] = {name: value.reveal() for name, value in values.get("headers", {}).items()}
        return {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}

    def objects(self, bucket: str) -> list[StoredObject]:
        return list(StoredObject.objects.unscoped().filter(bucket=bucket))

    @property
    def lifetimes(self) -> list[int]:
        return [self.keys.ttl(key) for key in self.keys.keys("luna:attribute:*")]


def policies(*members: tuple[str, Any]) -> dict[str, Any]:
    """Policies of JSON from paths and values; a path into an array names its first item."""
    made: dict[str, Any] = {}
    for path, value in members:
        place: Any = made
        *steps, last = path.split(".")
        for step in steps:
            place = place.setdefault(step, [{}] if step in ARRAYS else {})
            place = place[0] if isinstance(place, list) else place
        place[last] = value
    return made


ARRAYS = {"match_policy", "conditional_tags_policy", "link_to_lists_policy", "callbacks"}
D, E, M, T, S = "detect_policy", "extract_policy", "match_policy", "conditional_tags_policy", "storage_policy"
BODIES = {f"{D}.detect_body": 1}
LIST = "the list"  # replaced by the id of a list
MATCHED = {f"{M}.label": "all", f"{M}.candidates": {"origin": "faces"}}
LINKED = {f"{S}.face_policy.store_face": 1, f"{S}.face_policy.link_to_lists_policy.list_id": LIST}
ORIGIN = f"{S}.image_origin_policy"
KEPT_ORIGIN = {f"{ORIGIN}.store_image": 1}
ATTRIBUTE = {f"{S}.attribute_policy.store_attribute": 1}
CALLBACK = f"{S}.callbacks"
HOOK = {f"{CALLBACK}.type": "http", f"{CALLBACK}.url": "https://example.org/hook"}
BASIC = {
    f"{CALLBACK}.authorization.{name}": value for name, value in (("type", "basic"), ("login", "a"), ("password", "b"))
}
TOPIC = {f"{CALLBACK}.type": "mqtt", f"{CALLBACK}.url": "mqtt://example.org", f"{CALLBACK}.params.topic": "a"}
SILENT = {f"{S}.notification_policy.send_notification": 0}


def rejecting(member: str, value: Any, context: Any = None, name: str = "") -> Row:
    """A limit that rejects the person: no event is answered or stored, and the reason is given."""
    reason = [name or member.rpartition(".")[2]]
    return Row(member, value, lambda seen: (*seen.events, seen.reasons), (1, 1, []), (0, 0, reason), context or {})


def estimating(flag: str, name: str) -> Row:
    """A flag of an estimation of faces: the block in the answer, and the columns of the stored event."""
    columns, in_attributes = ESTIMATIONS[name].columns, ESTIMATIONS[name].place is Place.ATTRIBUTES

    def look(seen: Seen) -> Any:
        block = seen.face["detection"]["attributes" if in_attributes else name]
        shown = block.get(ESTIMATIONS[name].member or name) if in_attributes else block
        return shown is None, [getattr(seen.row, column) is None for column in columns]

    return Row(f"{D}.{flag}", 1, look, (True, [True] * len(columns)), (False, [False] * len(columns)))


def describing(flag: str, name: str) -> Row:
    """A flag of an estimation of bodies."""
    columns = ESTIMATIONS[name].columns

    def look(seen: Seen) -> Any:
        return [getattr(seen.row, column) is None for column in columns], len(seen.body["detection"]["attributes"])

    nothing = [True] * len(columns)
    return Row(f"{D}.body_attributes.{flag}", 1, look, (nothing, 0), ([False] * len(columns), 1), BODIES)


def storing(policy: str, bucket: str, context: Any = None) -> Iterator[Row]:
    """Samples of faces or bodies: the switch, the lifetime, the filters."""
    kind = "face" if bucket == Bucket.FACE_SAMPLES else "body"

    def stored(seen: Seen) -> Any:
        sample = seen.event["detections"][0]["samples"][kind]
        return sample["sample_id"] is not None, len(seen.objects(bucket))

    yield Row(f"{S}.{policy}.store_sample", 0, stored, (True, 1), (False, 0), context or {})
    yield Row(f"{S}.{policy}.filters", NOBODY, stored, (True, 1), (False, 0), {**(context or {}), **AGED})
    yield Row(
        f"{S}.{policy}.ttl",
        30,
        lambda seen: [row.ttl_days for row in seen.objects(bucket)],
        [None],
        [30],
        context or {},
    )


def calling(member: str, value: Any, before: Any, context: dict[str, Any] = HOOK, name: str = "") -> Row:
    """A member of a callback that its stored target has."""
    stored = name or member.rpartition(".")[2]
    return Row(f"{CALLBACK}.{member}", value, lambda seen: seen.callback.get(stored), before, value, context)


AGED = {f"{E}.extract_basic_attributes": 1}  # filters by sex need it


def origin(seen: Seen) -> Any:
    return seen.event["detections"][0]["image_origin"] is not None, len(seen.objects(Bucket.IMAGES))


def candidates(seen: Seen) -> Any:
    """Answered and stored matches."""
    answered = [len(match["candidates"]) for match in seen.event["matches"]]
    return answered, [len(match["candidates"]) for match in seen.row.match_result]


def prediction(name: str) -> Callable[[Seen], Any]:
    return lambda seen: (seen.face["detection"]["attributes"][name]["prediction"], getattr(seen.row, name))


def report(seen: Seen) -> Any:
    return [(check["name"], check["result"]) for check in seen.face["detection"]["face_quality"]["checks"]]


LIVENESS, DEEPFAKE = f"{D}.estimate_liveness", f"{D}.estimate_deepfake"
ONE_CHECK = {name: {"estimate": 0} for name in ChecksSerializer().fields if name != "head_yaw"}
FACE = f"{S}.face_policy"
STORED_FACE = {f"{FACE}.store_face": 1}
ROWS = [
    Row(f"{D}.detect_face", 0, lambda seen: (seen.face is None, seen.row.face_detections == []), (False, False),
        (True, True), BODIES),
    Row(f"{D}.detect_body", 1, lambda seen: (seen.body is None, len(seen.row.body_detections)), (True, 0), (False, 1)),
    Row(f"{D}.multiface_policy", 2, lambda seen: seen.events, (2, 2), (1, 1), filename="crowd.jpg"),
    Row(f"{D}.extract_exif", 1, lambda seen: seen.answer["images"][0]["exif"], None, {}),
    *(estimating(flag, name) for flag, name in FACE_FLAGS.items()),
    *(describing(flag, name) for flag, name in BODY_FLAGS.items()),
    Row(f"{D}.estimate_people_count", 1, lambda seen: (seen.answer["images"][0]["people"] or {}).get("count"), None, 2),
    Row(f"{D}.people_count_coordinates", 1, lambda seen: seen.answer["images"][0]["people"]["coordinates"], None,
        [[3, 4], [5, 6]], {f"{D}.estimate_people_count": 1}),
    *(rejecting(f"{D}.{angle}_threshold", 0) for angle in ("pitch", "roll", "yaw")),
    rejecting(f"{D}.mask_states", [2]),
    rejecting(f"{D}.liveness_states", [0]),
    rejecting(f"{D}.deepfake_states", [1]),
    rejecting(f"{LIVENESS}.liveness_states", [0]),
    rejecting(f"{DEEPFAKE}.deepfake_states", [1]),
    Row(f"{LIVENESS}.estimate", 1, lambda seen: seen.row.liveness, None, 1),
    Row(f"{LIVENESS}.liveness_threshold", 0.9, prediction("liveness"), ("real", 1), ("spoof", 0),
        {f"{LIVENESS}.estimate": 1}),
    Row(f"{LIVENESS}.quality_threshold", 0.9, prediction("liveness"), ("real", 1), ("unknown", 2),
        {f"{LIVENESS}.estimate": 1}),
    Row(f"{DEEPFAKE}.estimate", 1, lambda seen: seen.row.deepfake, None, 0),
    Row(f"{DEEPFAKE}.mode", 1, prediction("deepfake"), ("fake", 0), ("real", 1), {f"{DEEPFAKE}.estimate": 1}),
    Row(f"{DEEPFAKE}.real_threshold", 0.9, prediction("deepfake"), ("real", 1), ("fake", 0),
        {f"{DEEPFAKE}.estimate": 1, f"{DEEPFAKE}.mode": 1}),
    Row(f"{D}.face_quality.estimate", 1, lambda seen: seen.face["detection"]["face_quality"] is None, True, False),
    rejecting(f"{D}.face_quality.filter", 1,
              {f"{D}.face_quality.estimate": 1,
               f"{D}.face_quality.checks": {**ONE_CHECK, "head_yaw": {"threshold": {"min": 170}}}}, "head_yaw"),
    Row(f"{D}.face_quality.checks", {**ONE_CHECK, "head_yaw": {"threshold": {"min": 170}}},
        lambda seen: (len(report(seen)), dict(report(seen))["head_yaw"]), (len(ONE_CHECK) + 1, 1), (1, 0),
        {f"{D}.face_quality.estimate": 1}),
    Row(f"{E}.extract_face_descriptor", 0,
        lambda seen: (seen.event["face_attributes"]["score"] is None, EventDescriptor.objects.count()), (False, 1),
        (True, 0)),
    Row(f"{E}.extract_body_descriptor", 1,
        lambda seen: (seen.event["body_attributes"]["score"], EventDescriptor.objects.count()), (None, 1), (0.5, 2),
        BODIES),
    Row(f"{E}.extract_basic_attributes", 1,
        lambda seen: (seen.event["face_attributes"]["basic_attributes"] is None, seen.row.gender), (True, None),
        (False, 0)),
    rejecting(f"{E}.fd_score_threshold", 1),
    Row(f"{M}.label", "vip", lambda seen: (seen.event["matches"][0]["label"], seen.row.top_matching_candidates_label),
        ("all", "all"), ("vip", "vip"), MATCHED),
    Row(f"{M}.candidates", {"origin": "faces", "list_id": LIST}, candidates, ([2], [2]), ([1], [1]), MATCHED),
    Row(f"{M}.descriptor", "body", candidates, ([0], [0]), ([], []),
        {f"{M}.label": "all", f"{M}.candidates": {"origin": "events"}, f"{E}.extract_body_descriptor": 1}),
    Row(f"{M}.limit", 1, candidates, ([2], [2]), ([1], [1]), MATCHED),
    Row(f"{M}.threshold", 0.99, candidates, ([2], [2]), ([1], [1]), MATCHED),
    Row(f"{M}.targets", ["face_id"], lambda seen: (
        sorted(seen.event["matches"][0]["candidates"][0]["face"])[:2],
        len(seen.row.match_result[0]["candidates"][0]["face"])),
        (["account_id", "avatar"], 8), (["face_id"], 1), MATCHED),
    Row(f"{M}.filters", NOBODY, candidates, ([2], [2]), ([], []), {**MATCHED, **AGED}),
    Row(f"{T}.tag", "b", lambda seen: (seen.event["tags"], seen.row.tags), (["a"], ["a"]), (["b"], ["b"]),
        {f"{T}.tag": "a"}),
    Row(f"{T}.filters", NOBODY, lambda seen: (seen.event["tags"], seen.row.tags), (["a"], ["a"]), ([], []),
        {f"{T}.tag": "a", **AGED}),
    *storing("face_sample_policy", Bucket.FACE_SAMPLES),
    *storing("body_sample_policy", Bucket.BODY_SAMPLES, BODIES),
    Row(f"{ORIGIN}.store_image", 1, origin, (False, 0), (True, 1)),
    Row(f"{ORIGIN}.filters", NOBODY, origin, (True, 1), (False, 0), {**KEPT_ORIGIN, **AGED}),
    Row(f"{ORIGIN}.ttl", 7, lambda seen: [row.ttl_days for row in seen.objects(Bucket.IMAGES)], [None], [7],
        KEPT_ORIGIN),
    Row(f"{ORIGIN}.image_format", "png", lambda seen: [row.content_type for row in seen.objects(Bucket.IMAGES)], [JPEG],
        ["image/png"], KEPT_ORIGIN),
    Row(f"{ORIGIN}.image_quality", 5, lambda seen: [row.size_bytes < 20_000 for row in seen.objects(Bucket.IMAGES)],
        [False], [True], KEPT_ORIGIN, "a.png"),
    Row(f"{ORIGIN}.use_external_references", 1, lambda seen: (
        seen.event["detections"][0]["image_origin"].startswith("/6/samples/faces/"), len(seen.objects(Bucket.IMAGES))),
        (False, 1), (True, 0), KEPT_ORIGIN, "warp"),
    Row(f"{S}.attribute_policy.store_attribute", 1,
        lambda seen: (seen.event["face_attributes"]["attribute_id"] is None, len(seen.lifetimes)), (True, 0),
        (False, 1)),
    Row(f"{S}.attribute_policy.ttl", 40, lambda seen: [each <= 40 for each in seen.lifetimes], [False], [True],
        ATTRIBUTE),
    Row(f"{S}.attribute_policy.filters", NOBODY,
        lambda seen: (seen.event["face_attributes"]["attribute_id"] is None, len(seen.lifetimes)), (False, 1),
        (True, 0), {**ATTRIBUTE, **AGED}),
    Row(f"{FACE}.store_face", 1, lambda seen: (seen.event["face"] is None, Face.objects.unscoped().count()), (True, 2),
        (False, 3)),
    Row(f"{FACE}.set_sample_as_avatar", 0,
        lambda seen: (bool(seen.event["face"]["avatar"]), bool(Face.objects.unscoped().latest("pk").avatar)),
        (True, True), (False, False), STORED_FACE),
    Row(f"{FACE}.filters", NOBODY, lambda seen: (seen.event["face"] is None, Face.objects.unscoped().count()),
        (False, 3), (True, 2), {**STORED_FACE, **AGED}),
    Row(f"{FACE}.link_to_lists_policy.list_id", LIST, lambda seen: (
        len(seen.event["face"]["lists"]), len(seen.row.attach_result), ListFace.objects.count()), (0, 0, 1), (1, 1, 2),
        STORED_FACE),
    Row(f"{FACE}.link_to_lists_policy.filters", NOBODY,
        lambda seen: (len(seen.event["face"]["lists"]), ListFace.objects.count()), (1, 2), (0, 1), {**LINKED, **AGED}),
    Row(f"{S}.event_policy.store_event", 0, lambda seen: seen.events, (1, 1), (1, 0)),
    Row(f"{S}.event_policy.wait_saving", 0, lambda seen: (*seen.events, seen.queued), (1, 1, 0), (1, 0, 1)),
    Row(f"{S}.event_policy.filters", NOBODY, lambda seen: seen.events, (1, 1), (1, 0), AGED),
    Row(f"{S}.notification_policy.send_notification", 0, lambda seen: len(seen.published), 1, 0),
    Row(f"{S}.notification_policy.filters", NOBODY, lambda seen: len(seen.published), 1, 0, AGED),
    Row(f"{CALLBACK}.type", "luna-ws-notification",
        lambda seen: (Callback.objects.unscoped().count(), len(seen.published)), (1, 0), (0, 1), {**HOOK, **SILENT}),
    calling("url", "https://example.org/other", "https://example.org/hook"),
    calling("authorization.login", "c", "a", {**HOOK, **BASIC}),
    calling("authorization.password", "c", "b", {**HOOK, **BASIC}),
    calling("params.timeout", 5, 60, name="timeout_s"),
    calling("params.content_type", "application/msgpack", JSON),
    calling("params.headers", {"X-Door": "7"}, {}),
    calling("params.secret", "a secret of at least 24 bytes", None),
    calling("params.topic", "b", "a", TOPIC),
    calling("params.qos", 2, 1, TOPIC),
    calling("params.retain", 1, 0, TOPIC),
    Row(f"{S}.callbacks.enable", 0, lambda seen: Callback.objects.unscoped().count(), 1, 0, HOOK),
    Row(f"{S}.callbacks.filters", NOBODY, lambda seen: Callback.objects.unscoped().count(), 1, 0, {**HOOK, **AGED}),
]  # fmt: skip
