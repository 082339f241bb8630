"""Views of POST /6/matcher/faces, POST /6/matcher/bodies and POST /6/matcher/raw."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import principal_of_request, read_scope, require_right
from apps.accounts.auth.permissions import MATCHING
from apps.common import errors
from apps.common.api.views import BY_BODY, LunaView
from apps.common.config import PlatformLimits, config
from apps.common.descriptors import DescriptorVersion, Kind, versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.validation import checked_body, checked_query
from apps.matching.api import examples
from apps.matching.api.serializers import BodyMatchBody, MatchBody, MatchQuery, RawMatchBody
from apps.matching.api.shapes import RawMatchAnswerJson, ReferenceMatchesJson
from apps.matching.candidates import ATTRIBUTES, EVENTS, FACES, candidate_filters_shown, candidates_make
from apps.matching.matcher import match_all, match_raw
from apps.matching.references import CountLimit, descriptors_probes, reference_limit, references_resolve
from apps.matching.shapes import match_shape, targets_check
from apps.matching.types import Block, Candidates, Reference, Speed

MAX_RAW_CANDIDATES = 1000
RAW_CANDIDATES = CountLimit(MAX_RAW_CANDIDATES, lambda _, most: LunaError(errors.TOO_MANY_REFERENCES, most))
KIND_OF_ORIGIN = {FACES: "face", EVENTS: "event", ATTRIBUTES: "attribute"}


class MatchView(LunaView):
    """Matching of references with candidates by descriptors of one kind."""

    permissions: ClassVar = {"POST": BY_BODY}

    def match(self, request: Request, *, kind: Kind, body: type[MatchBody | BodyMatchBody]) -> Response:
        query = checked_query(MatchQuery, request)
        version = version_of(kind, query.get("descriptor_version"))
        asked = checked_body(body, request)
        references, candidates = asked["references"], asked["candidates"]
        check_rights(request, references, candidates)
        check_limits(candidates)
        scope = read_scope(request)
        blocks = [block_of(request, scope, block, query.get("matching_speed")) for block in candidates]
        resolved = references_resolve(scope=scope, references=references, version=version)
        found = match_all(probes=[probe for _, probe in resolved], blocks=blocks)
        sent: Any = request.data
        filters = [
            {"origin": given["filters"]["origin"], **candidate_filters_shown(raw["filters"])}
            for given, raw in zip(candidates, sent["candidates"], strict=True)
        ]
        return Response(
            [
                {
                    "reference": {"id": reference.id, "type": reference.type},
                    "matches": [
                        {"filters": echo, "result": [match_shape(match, block.targets) for match in matches]}
                        for echo, block, matches in zip(filters, blocks, per_block, strict=True)
                    ],
                }
                for (reference, _), per_block in zip(resolved, found, strict=True)
            ]
        )


class MatchFacesView(MatchView):
    @extend_schema(
        summary="matching faces",
        description="Matches references with candidates. Candidates that do not exist are omitted; a reference that "
        "does not exist is an error. A reference by external id or track id refers to all objects with this id.",
        parameters=[MatchQuery],
        request={"application/json": MatchBody, "application/msgpack": MatchBody},
        responses={200: list[ReferenceMatchesJson]},
        examples=examples.examples(examples.FACES, examples.FACES_ANSWER),
    )
    def post(self, request: Request) -> Response:
        return self.match(request, kind="face", body=MatchBody)


class MatchBodiesView(MatchView):
    @extend_schema(
        summary="matching bodies",
        description="Matches references with events by the descriptors of bodies. Candidates that do not exist are "
        "omitted; a reference that does not exist is an error. Bodies are matched less surely than faces: see "
        "docs/similarity.md.",
        parameters=[MatchQuery],
        request={"application/json": BodyMatchBody, "application/msgpack": BodyMatchBody},
        responses={200: list[ReferenceMatchesJson]},
        examples=examples.examples(examples.BODIES, examples.BODIES_ANSWER),
    )
    def post(self, request: Request) -> Response:
        return self.match(request, kind="body", body=BodyMatchBody)


class MatchRawView(LunaView):
    permissions: ClassVar = {"POST": BY_BODY}  # any token is accepted, because no stored data is read

    @extend_schema(
        summary="raw matching",
        description="Matches descriptors of the request with each other. It reads and stores nothing.",
        request={"application/json": RawMatchBody, "application/msgpack": RawMatchBody},
        responses={200: RawMatchAnswerJson},
        examples=examples.examples(examples.RAW, examples.RAW_ANSWER),
    )
    def post(self, request: Request) -> Response:
        body = checked_body(RawMatchBody, request)
        references = descriptors_probes(body["references"], reference_limit())
        candidates = descriptors_probes(body["candidates"], RAW_CANDIDATES)
        similarities = match_raw(references=references, candidates=candidates)
        return Response(
            {
                "matches": [
                    {
                        "reference_id": reference.id,
                        "matches": [
                            {"candidate_id": candidate.id, "similarity": similarity}
                            for candidate, similarity in zip(candidates, row, strict=True)
                        ],
                    }
                    for reference, row in zip(references, similarities, strict=True)
                ]
            }
        )


def version_of(kind: Kind, number: int | None) -> DescriptorVersion:
    """Return the descriptor version to match, the default one of the kind without `number`.

    Raises LunaError UNKNOWN_DESCRIPTOR_VERSION for a version that is unknown or of another kind,
    ESTIMATOR_NOT_INITIALIZED if the kind has no default version.
    """
    if number is None:
        return versions.default(kind)
    version = versions.get(number)
    if version.kind != kind:
        raise LunaError(errors.UNKNOWN_DESCRIPTOR_VERSION, number)
    return version


def check_rights(request: Request, references: Iterable[Reference], candidates: Iterable[Mapping[str, Any]]) -> None:
    """Check the token's permissions. Raises LunaError PERMISSION_DENIED if it cannot match one of the object types."""
    kinds = {KIND_OF_ORIGIN[block["filters"]["origin"]] for block in candidates}
    kinds |= {reference.type.split("_")[0] for reference in references} & set(KIND_OF_ORIGIN.values())
    for kind in sorted(kinds):
        require_right(principal_of_request(request), kind, MATCHING)


def check_limits(candidates: Iterable[Mapping[str, Any]]) -> None:
    """Check the limits of candidates. Raises LunaError TOO_MANY_REFERENCES with the exceeded limit."""
    blocks = list(candidates)
    limits = config(PlatformLimits).match
    if len(blocks) > limits.candidate_limit:
        raise LunaError(errors.TOO_MANY_REFERENCES, limits.candidate_limit)
    if any(block["limit"] > limits.result_candidate_limit for block in blocks):
        raise LunaError(errors.TOO_MANY_REFERENCES, limits.result_candidate_limit)


def block_of(request: Request, scope: Scope, given: Mapping[str, Any], speed: Speed | None) -> Block:
    """Return a block of candidates.

    Raises the errors of `candidates_of` and `targets_check`.
    """
    candidates = candidates_of(request, scope, given["filters"], speed)
    targets = targets_check(candidates, given["targets"])
    return Block(candidates, limit=given["limit"], threshold=given["threshold"], targets=targets)


def candidates_of(request: Request, scope: Scope, filters: Mapping[str, Any], speed: Speed | None) -> Candidates:
    """Return the candidates of filters with an `origin`.

    Raises LunaError FILTER_ACCOUNT_MISMATCH if filters and query name different accounts, FOREIGN_ACCOUNT_ID for an
    account outside of the client's scope.
    """
    account_id = filters.get("account_id")
    if account_id is not None:
        if "account_id" in request.query_params and account_id != scope.account_id:
            raise LunaError(errors.FILTER_ACCOUNT_MISMATCH, "candidates")
        if not scope.allows(account_id):
            raise LunaError(errors.FOREIGN_ACCOUNT_ID, "candidates")
        scope = Scope(account_id)
    return candidates_make(
        origin=filters["origin"],
        scope=scope,
        filters=filters.get("filters"),
        attribute_ids=filters.get("attribute_ids", ()),
        speed=speed,
    )
