"""Queries of events; `apps.events.shapes` builds the responses."""

from typing import Any

from rest_framework import serializers

from apps.common.fields import account_field, targets_field
from apps.common.filters import EventFilterSerializer
from apps.common.paging import PageQuery


class TargetsQuery(serializers.Serializer[Any]):
    targets = targets_field()
    account_id = account_field()


class EventsQuery(EventFilterSerializer, TargetsQuery, PageQuery):
    order = serializers.ChoiceField(choices=("asc", "desc"), default="desc", help_text="Order by create time.")
