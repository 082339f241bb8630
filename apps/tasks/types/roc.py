"""ROC curve of labelled faces, events and attributes: how well their descriptors separate people."""

import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import numpy as np
from drf_spectacular.utils import extend_schema_field
from numpy.typing import NDArray
from rest_framework import serializers

from apps.common import errors
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.fields import UUIDField, WholeNumberField, account_field, parse_uuid
from apps.common.filters.kinds import FiniteFloatField
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.matching.candidates import ATTRIBUTES, EVENTS, FACES
from apps.matching.cross import PAGE_ROWS, lacking, pages
from apps.matching.engine.roc import Counts, Curve, PairCounts, codes_of, row_blocks
from apps.matching.types import Candidates
from apps.tasks.choices import TaskKind
from apps.tasks.filters import scope_narrowed
from apps.tasks.sets import cross_limits, sets_make
from apps.tasks.types.base import Result, SubtaskRun, TaskType

DEFAULT_HITS = 5
MAX_KEY_FPRS = 100
LABEL_CHARACTERS = 256
CHECKPOINT_S = 10.0
ORIGINS = {"face_id": FACES, "event_id": EVENTS, "attribute_id": ATTRIBUTES}

Label = str | int | float


class Marked(NamedTuple):
    """An object with its label, which objects of the same person share."""

    origin: str
    object_id: UUID
    label: Label


@extend_schema_field({"description": "A number or a string"})
class LabelField(serializers.Field[Label, Any, Any, Any]):
    """A number or a string."""

    def to_internal_value(self, data: Any) -> Label:
        finite = isinstance(data, int) or (isinstance(data, float) and np.isfinite(data))
        if isinstance(data, bool) or not (finite or (isinstance(data, str) and len(data) <= LABEL_CHARACTERS)):
            raise serializers.ValidationError(f"a number, or a string of at most {LABEL_CHARACTERS} characters.")
        if isinstance(data, str) and "\x00" in data:
            raise serializers.ValidationError("Null characters are not allowed.")
        return data  # type: ignore[no-any-return]


class MarkedSerializer(serializers.Serializer[Any]):
    """An object by one of the three ids, and its label: a number or a string."""

    face_id = UUIDField(required=False)
    event_id = UUIDField(required=False)
    attribute_id = UUIDField(required=False)
    label = LabelField()  # type: ignore[assignment]  # DRF removes declared fields


@extend_schema_field(MarkedSerializer(many=True))
class MarkupField(serializers.Field[Any, Any, Any, Any]):
    """Labelled objects, each once. A serializer for each of 20,000 items would take seconds."""

    def to_internal_value(self, data: Any) -> list[Marked]:
        if not isinstance(data, list) or not data:
            raise serializers.ValidationError("a non-empty array is required.")
        label = LabelField()
        found: dict[tuple[str, UUID], Marked] = {}
        for number, item in enumerate(data):
            try:
                marked = _marked(item, label)
                known = found.setdefault(marked[:2], marked)
                if known.label != marked.label:
                    raise serializers.ValidationError(f"{marked.object_id} has two labels.")
            except serializers.ValidationError as error:
                raise serializers.ValidationError({str(number): error.detail}) from error
        return list(found.values())


def _marked(item: Any, label: LabelField) -> Marked:
    names = set(item) - {"label"} if isinstance(item, dict) else set()
    if len(names) != 1 or "label" not in item or not names <= ORIGINS.keys():
        raise serializers.ValidationError(f"`label` and one of {', '.join(ORIGINS)} are required, and nothing else.")
    (name,) = names
    object_id = parse_uuid(item[name])
    if object_id is None:
        raise serializers.ValidationError({name: "Must be a valid UUID."})
    try:
        return Marked(ORIGINS[name], object_id, label.to_internal_value(item["label"]))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"label": error.detail}) from error


class RocFilters(StrictSerializer):
    """The account of the objects."""

    account_id = account_field()


class RocContent(StrictSerializer):
    """Labelled objects. `limit`: the largest N of hits into the top N."""

    example: ClassVar[dict[str, Any]] = {
        "markup": [
            {"face_id": "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e", "label": "Ada"},
            {"event_id": "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2f", "label": "Ada"},
        ],
        "limit": 5,
        "key_FPRs": [0.001, 0.01],
    }
    markup = MarkupField()
    limit = WholeNumberField(min_value=1, max_value=2**31 - 1, default=DEFAULT_HITS)
    threshold_hit_top = FiniteFloatField(
        min_value=0, max_value=1, default=0.0, help_text="Lowest similarity of a hit into the top N."
    )
    key_FPRs = serializers.ListField(  # noqa: N815 (name of the API)
        child=FiniteFloatField(min_value=0, max_value=1),
        default=list,
        max_length=MAX_KEY_FPRS,
        help_text="False positive rates whose points of the curve are shown.",
    )
    filters = RocFilters(required=False)
    account_id = account_field()


class Roc(TaskType):
    """All pairs of the labelled objects are compared by one subtask, which resumes at a row of the matrix."""

    name, number = "roc", TaskKind.ROC
    Content = RocContent

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raises LunaError TOO_MANY_REFERENCES for too many objects and for a `limit` that is too large.

        ESTIMATOR_NOT_INITIALIZED without a network for faces, and the errors of `sets_make`.
        """
        limits = cross_limits()
        for value, most in (
            (len(content["markup"]), limits.array_filter_limit),
            (content["limit"], limits.result_candidate_limit),
        ):
            if value > most:
                raise LunaError(errors.TOO_MANY_REFERENCES, most)
        versions.default("face")
        _sets(content, scope)

    def process(self, run: SubtaskRun) -> Result:
        """Raises LunaError CROSS_MATCHING_OBJECTS_NOT_FOUND if no object has a descriptor."""
        content, version = run.content, versions.default("face")
        objects = _objects(run, version)
        counts = _counted(run, objects, version)
        curve = Curve.of(counts)
        return {
            "descriptor_version": version.version,
            "objects": len(objects.labels),
            "positive_pairs": counts.positives,
            "negative_pairs": counts.negatives,
            "auc": curve and curve.auc,
            "equal_errors": curve and asdict(curve.equal_errors()),
            "key_points": curve
            and [{"key_fpr": each, **asdict(curve.key_point(each))} for each in content["key_FPRs"]],
            "hit_top": _hit_top(counts),
            "roc": curve and [asdict(each) for each in curve.points()],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects that have a descriptor: unit vectors, float64 [n, dimension], and numbers of labels, int64 [n].

    `digest`: equal for equal objects, labels and descriptors.
    """

    vectors: NDArray[np.float64]
    labels: Counts
    digest: str


def _objects(run: SubtaskRun, version: DescriptorVersion) -> Objects:
    """Read the objects, and record those that cannot be compared.

    Raises LunaError CROSS_MATCHING_OBJECTS_NOT_FOUND if none can.
    """
    sets = _sets(run.content, run.scope)
    if not run.state:  # else the errors are stored
        for object_id, error in lacking([objects for _, objects in sets], version):
            run.error(error, info=str(object_id))
    label_of = {(each.origin, each.object_id): each.label for each in run.content["markup"]}
    vectors, labels, digest = [], list[Label](), blake2b(digest_size=16)
    for origin, objects in sets:
        for page in pages(objects, version, PAGE_ROWS):
            run.check()
            vectors.append(page.vectors.astype(np.float64))
            labels += [label_of[origin, each] for each in page.ids]
            digest.update(page.vectors.tobytes())
    if not labels:
        raise LunaError(errors.CROSS_MATCHING_OBJECTS_NOT_FOUND, "Objects")
    codes = codes_of(labels)
    digest.update(codes.tobytes())
    return Objects(np.concatenate(vectors), codes, digest.hexdigest())


def _counted(run: SubtaskRun, objects: Objects, version: DescriptorVersion) -> PairCounts:
    """Compare all pairs, from the last checkpoint on if the objects have not changed since."""
    limit, start, counts = run.content["limit"], 0, None
    if run.blob is not None and run.state["objects"] == objects.digest:
        start, counts = run.state["row"], PairCounts.unpacked(zlib.decompress(run.blob), limit)
    counts = counts or PairCounts.empty(limit)
    total, stored = len(objects.labels), time.monotonic()
    run.progress(start, total)
    for rows in row_blocks(total, start):
        run.check()
        counts.add(objects.vectors, objects.labels, rows, version.calibration, run.content["threshold_hit_top"])
        run.progress(rows.stop, total)
        if time.monotonic() - stored >= CHECKPOINT_S:
            state = {"objects": objects.digest, "row": rows.stop}
            with run.checkpoint(state, blob=zlib.compress(counts.packed(), 1), parts_done=rows.stop):
                pass
            stored = time.monotonic()
    return counts


def _key_point(curve: Curve, key_fpr: float) -> dict[str, Any]:
    return {"key_fpr": key_fpr, **asdict(curve.key_point(key_fpr))}


def _hit_top(counts: PairCounts) -> list[dict[str, Any]] | None:
    found = counts.hit_probabilities()
    return None if found is None else [{"top": top, "probability": each} for top, each in enumerate(found, 1)]


def _sets(content: Mapping[str, Any], scope: Scope) -> list[tuple[str, Candidates]]:
    """Return the objects of the markup by origin. Raises the errors of `sets_make`."""
    scope = scope_narrowed(scope, [content.get("account_id"), content.get("filters", {}).get("account_id")])
    ids: dict[str, list[UUID]] = {}
    for each in content["markup"]:
        ids.setdefault(each.origin, []).append(each.object_id)
    given = [
        {
            "origin": origin,
            "filters": {} if origin == ATTRIBUTES else {f"{origin[:-1]}_ids": found},
            "attribute_ids": found if origin == ATTRIBUTES else [],
        }
        for origin, found in ids.items()
    ]
    return list(zip(ids, sets_make(given, scope=scope), strict=True))


TYPE = Roc()
