"""What handlers and verifiers are filtered by: terms of the filter language."""

from rest_framework import serializers

from apps.common.fields import account_field
from apps.common.filters.kinds import Kind
from apps.common.filters.operators import EQUAL
from apps.common.filters.serializers import FilterSerializer, Terms
from apps.common.filters.terms import Term
from apps.handlers.choices import HandlerType

MAX_DESCRIPTION_CHARACTERS = 128

DESCRIPTION = Kind(
    lambda **kwargs: serializers.CharField(max_length=MAX_DESCRIPTION_CHARACTERS, allow_blank=True, **kwargs)
)
TYPE = Kind(lambda **kwargs: serializers.ChoiceField(choices=HandlerType.choices, **kwargs))

HANDLER_TERMS: Terms = {
    term.name: term
    for term in (
        Term("description", "description", EQUAL, DESCRIPTION),
        Term("handler_type", "handler_type", EQUAL, TYPE),
    )
}
"""Filters of GET /6/handlers."""


VERIFIER_TERMS: Terms = {"description": HANDLER_TERMS["description"]}
"""Filters of GET /6/verifiers."""


class HandlerFilterSerializer(FilterSerializer):
    """Which handlers."""

    terms = HANDLER_TERMS
    account_id = account_field()


class VerifierFilterSerializer(FilterSerializer):
    """Which verifiers. They have no `account_id`: verifiers of other accounts are never visible."""

    terms = VERIFIER_TERMS
