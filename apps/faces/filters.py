"""Filters of faces and lists: terms of the filter language, shared with events where the meaning is equal."""

from apps.common.fields import account_field
from apps.common.filters.kinds import TIME_KIND, UUID_KIND, text
from apps.common.filters.operators import EQUAL, HAS, ONE_OF
from apps.common.filters.serializers import FilterSerializer, Terms
from apps.common.filters.terms import TERMS, Term, bounds

# Empty user data are a valid value: a client can search for faces without a description.
USER_DATA = Term("user_data", "user_data", EQUAL, text(128, blank=True))


def _terms(*shared: str, own: tuple[Term, ...]) -> Terms:
    return {name: TERMS[name] for name in shared} | {term.name: term for term in own}


FACE_TERMS = _terms(
    "face_ids",
    "external_ids",
    "event_ids",
    "create_time__gte",
    "create_time__lt",
    own=(
        USER_DATA,
        Term("event_id", "event_id", EQUAL, UUID_KIND),
        Term("list_id", "lists", HAS, UUID_KIND, path="links__list__list_id"),
        *bounds("face_id", UUID_KIND, "gte", "lt", "lte"),
    ),
)
"""Filters of GET /6/faces and of candidates of origin `faces`; columns are those of `Face`, and `lists`."""

LIST_TERMS = _terms(
    "create_time__gte",
    "create_time__lt",
    own=(
        USER_DATA,
        Term("list_ids", "list_id", ONE_OF, UUID_KIND),
        *bounds("last_update_time", TIME_KIND),
    ),
)
"""Filters of GET /6/lists."""


class FaceFilterSerializer(FilterSerializer):
    """Filters of faces. Times can be relative: `now-7d`."""

    terms = FACE_TERMS
    account_id = account_field()


class ListFilterSerializer(FilterSerializer):
    """Filters of lists. Times can be relative: `now-7d`."""

    terms = LIST_TERMS
    account_id = account_field()
