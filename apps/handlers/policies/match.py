"""match_policy: candidates, filters and threshold of matching."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.accounts.auth.principal import Principal
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.fields import SettingIntegerField
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.handlers.config import HandlersLimits
from apps.handlers.policies.base import MAX_LABEL_CHARACTERS, FiltersSerializer, PolicySerializer
from apps.handlers.policies.detect import score_field
from apps.matching.candidates import EVENTS, CandidateFiltersField, candidates_make
from apps.matching.shapes import SIMILARITY, TARGETS_OF
from apps.matching.types import Candidates

FACE, BODY = "face", "body"
DEFAULT_CANDIDATES = 3
MAX_TARGETS = 100
# Members of a matched event that are shown by default.
EVENT_TARGETS = frozenset(
    ("event_id", "account_id", "external_id", "user_data", "create_time", "end_time", "handler_id", "source",
     "match_result", "top_match")
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCandidates:
    """Candidates: faces, events or temporary attributes of `account_id`, None for the principal's own account.

    Faces and events have `filters`, attributes `attribute_ids`.
    """

    origin: str
    account_id: UUID | None = None
    filters: Filters = field(default_factory=dict)
    attribute_ids: tuple[UUID, ...] = ()

    def of(self, account_id: UUID) -> Candidates:
        """Return the matcher's candidates among the objects of an account."""
        return candidates_make(
            origin=self.origin, scope=Scope(account_id), filters=self.filters, attribute_ids=self.attribute_ids
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """Search for the `limit` most similar candidates with a similarity of at least `threshold` (0..1).

    It applies to events that pass `filters`. `label` names the matches. `targets` names the members of a candidate in
    the response; an empty set includes all.
    """

    label: str
    candidates: PolicyCandidates
    descriptor: str = FACE
    limit: int = DEFAULT_CANDIDATES
    threshold: float = 0.0
    targets: frozenset[str] = frozenset()
    filters: Filters = field(default_factory=dict)


class CandidatesField(CandidateFiltersField):
    """Candidates by `origin`, with the matcher's filters of this origin."""

    def to_internal_value(self, data: Any) -> PolicyCandidates:  # type: ignore[override]
        given = super().to_internal_value(data)
        return PolicyCandidates(
            origin=given["origin"],
            account_id=given.get("account_id"),
            filters=given.get("filters", {}),
            attribute_ids=tuple(given.get("attribute_ids", ())),
        )


class TargetsField(serializers.ListField):
    """Array of names of members of a candidate."""

    def to_internal_value(self, data: Any) -> frozenset[str]:  # type: ignore[override]
        return frozenset(super().to_internal_value(data))


class MatchPolicySerializer(PolicySerializer):
    policy = MatchPolicy
    label = serializers.CharField(max_length=MAX_LABEL_CHARACTERS)  # type: ignore[assignment]  # DRF takes it out
    candidates = CandidatesField()
    descriptor = serializers.ChoiceField(choices=(FACE, BODY), required=False)
    limit = SettingIntegerField(limit=lambda: config(HandlersLimits).result_candidate_limit, required=False)
    threshold = score_field()
    targets = TargetsField(child=serializers.CharField(), max_length=MAX_TARGETS, required=False)
    filters = FiltersSerializer(required=False)

    def validate(self, attrs: Any) -> Any:
        if attrs.descriptor == BODY and attrs.candidates.origin != EVENTS:
            raise serializers.ValidationError({"descriptor": "Bodies are compared with events only."})
        known = {*TARGETS_OF[attrs.candidates.origin], SIMILARITY}
        if unknown := sorted(attrs.targets - known):
            raise serializers.ValidationError({"targets": f"'{unknown[0]}' is not one of {', '.join(sorted(known))}."})
        return attrs


def candidates_account(candidates: PolicyCandidates, principal: Principal) -> UUID:
    """Return the account of the candidates.

    Raises LunaError FOREIGN_ACCOUNT_ID for an account outside the principal's scope.
    """
    account_id = candidates.account_id or principal.account_id
    if account_id != principal.account_id and not principal.sees_all_accounts:
        raise LunaError(errors.FOREIGN_ACCOUNT_ID, "match_policy")
    return account_id
