"""Clustering: groups of faces or events that resemble each other, each most likely of one person."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from rest_framework import serializers

from apps.common import errors
from apps.common.config import config
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.fields import WholeNumberField
from apps.common.filters.kinds import FiniteFloatField
from apps.common.scope import Scope
from apps.matching.clusters import Objects, groups, stored_objects, tracks
from apps.matching.engine.components import Components, connect, units
from apps.matching.types import Candidates, EventCandidates, FaceCandidates
from apps.recognition.calibration import stated_fmr
from apps.tasks.choices import TaskKind
from apps.tasks.config import Tasks
from apps.tasks.filters import ObjectsContent, content_scope, source_check
from apps.tasks.types.base import SubtaskRun, TaskType

CHECKPOINT_S = 5.0
RESULT_IDS = 4096  # of one piece of the result


class ClusteringContent(ObjectsContent):
    """Faces or events to cluster. `limit` is accepted, as by LUNA PLATFORM: every pair is compared without it."""

    threshold = FiniteFloatField(
        min_value=0, max_value=1, required=False, help_text="Similarity above which two objects are joined."
    )
    descriptor = serializers.ChoiceField(choices=("face", "body"), default="face")
    limit = WholeNumberField(min_value=1, required=False, help_text="Without effect.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["objects_type"] == "faces" and attrs["descriptor"] == "body":
            raise serializers.ValidationError({"descriptor": "faces have no body descriptors."})
        return attrs


class Clustering(TaskType):
    """Connected components of all pairs of objects with a similarity above the threshold."""

    name = "clustering"
    number = TaskKind.CLUSTERING
    Content = ClusteringContent

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        source_check(content["objects_type"])
        content_scope(content, scope)

    def process(self, run: SubtaskRun) -> Iterator[bytes]:
        """Raises LunaError CLUSTERING_OBJECTS_NOT_FOUND without objects that have a descriptor."""
        content = run.content
        source_check(content["objects_type"])
        version = versions.default(content["descriptor"])
        threshold = content.get("threshold", config(Tasks).default_clustering_threshold)
        with stored_objects(_candidates(run), version, check=run.check) as objects:
            if not len(objects.keys):
                raise LunaError(errors.CLUSTERING_OBJECTS_NOT_FOUND)
            components = _components(run, objects, version.calibration.cosine(threshold))
        return _result(run, objects, components, version, threshold)


TYPE = Clustering()


def _candidates(run: SubtaskRun) -> Candidates:
    kind = FaceCandidates if run.content["objects_type"] == "faces" else EventCandidates
    return kind(scope=content_scope(run.content, run.scope), filters=run.content["filters"].filters)


def _components(run: SubtaskRun, objects: Objects, cosine: float) -> Components:
    """Compare all pairs, from the last checkpoint on if the objects have not changed since."""
    count = len(objects.keys)
    state = {"objects": objects.digest, "cosine": cosine}
    start, parents = 0, None
    if state.items() <= run.state.items():
        start, parents = run.state["done"], run.blob
    components = Components(count, parents)
    components.join(np.arange(count), tracks(objects, check=run.check))
    total = len(units(count))
    run.progress(start, total)
    stored = time.monotonic()
    for done in connect(objects.rows, components, cosine, start=start, check=run.check):
        run.progress(done, total)
        if time.monotonic() - stored >= CHECKPOINT_S:
            with run.checkpoint({**state, "done": done}, blob=components.parents.tobytes(), parts_done=done):
                pass
            stored = time.monotonic()
    return components


def _result(
    run: SubtaskRun, objects: Objects, components: Components, version: DescriptorVersion, threshold: float
) -> Iterator[bytes]:
    """Yield the result in pieces: a million ids have 40 MB."""
    clusters = 0
    yield b'{"clusters":['
    for places in groups(components.labels()):
        yield b"," if clusters else b""
        clusters += 1
        for start in range(0, len(places), RESULT_IDS):
            run.check()
            ids = ",".join(f'"{objects.id_of(place)}"' for place in places[start : start + RESULT_IDS])
            yield (("," if start else "[") + ids).encode()
        yield b"]"
    facts = {
        "total_objects": len(objects.keys),
        "total_clusters": clusters,
        "threshold": threshold,
        "descriptor_version": version.version,
        "false_match_rate": stated_fmr(version, threshold),
    }
    yield b"]," + orjson.dumps(facts)[1:]
