"""conditional_tags_policy: tags of events that pass filters."""

from dataclasses import dataclass, field

from rest_framework import serializers

from apps.common.filters import Filters
from apps.handlers.policies.base import MAX_LABEL_CHARACTERS, FiltersSerializer, PolicySerializer


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalTag:
    tag: str
    filters: Filters = field(default_factory=dict)


class ConditionalTagSerializer(PolicySerializer):
    policy = ConditionalTag
    tag = serializers.CharField(max_length=MAX_LABEL_CHARACTERS)
    filters = FiltersSerializer(required=False)
