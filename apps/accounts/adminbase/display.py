"""Values as the pages of all rooms show them. Texts of clients are escaped."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from apps.common.rows import COUNTED_ROWS

NOTHING = SafeString("—")
Column = Callable[[Any, Any], Any]
SAME_PERSON = 0.8  # docs/similarity.md: two false matches or fewer in 1,000 comparisons of adults


def may_view(user: Any, model: Any) -> bool:
    """Return whether a user may view the rows of a model."""
    name = get_permission_codename("view", model._meta)
    return bool(user.has_perm(f"{model._meta.app_label}.{name}"))


def once(column: Column) -> Column:
    """Decorate a field whose text needs queries: Unfold reads each read-only field of a page five times."""

    @wraps(column)
    def text(self: Any, row: Any) -> Any:
        kept = row.__dict__.setdefault("kept_texts", {})
        if column.__name__ not in kept:
            kept[column.__name__] = column(self, row)
        return kept[column.__name__]

    return text


def page_named(name: str) -> Any:
    """Return the page of another room by its name in addresses, such as `faces_face`. A room imports no sibling."""
    app, _, model = name.partition("_")
    return admin.site.get_model_admin(apps.get_model(app, model))


def found_by_id(page: str, object_id: Any, name: Any = None, *, viewer: Any) -> SafeString:
    """Render a link to the search of a page for an id, because the object may be deleted.

    Without the permission of the page, `viewer` sees the text only.
    """
    if object_id is None:
        return NOTHING
    text = name or object_id
    if not may_view(viewer, page_named(page).model):
        return format_html("{}", text)
    return rows_of(page, "q", object_id, text)


def rows_of(page: str, parameter: str, value: Any, text: Any) -> SafeString:
    """Render a link to the list of a page, filtered by one parameter."""
    url = reverse(f"admin:{page}_changelist")
    return format_html('<a href="{}?{}" class="luna-link">{}</a>', url, urlencode({parameter: value}), text)


def number_text(number: int | float, digits: int = 0) -> str:
    """Return a number with the separators of the page's language."""
    return formats.number_format(round(number, digits) if digits else number, digits, force_grouping=True)


def count_text(count: int, most: int = COUNTED_ROWS) -> str:
    """Return a number of rows that was counted up to `most`."""
    return number_text(count) if count <= most else gettext("over %(count)s") % {"count": number_text(most)}


class Labels(dict[str, str]):
    """Colours of the words of a column. A page in another language finds them by its own words."""

    def __contains__(self, word: object) -> bool:
        return any(gettext(each) == word for each in self)

    def __missing__(self, word: str) -> str:
        return next(colour for each, colour in self.items() if gettext(each) == word)


def tags(words: Any) -> SafeString:
    """Render short words as labels."""
    return format_html_join(" ", '<span class="luna-tag">{}</span>', ((word,) for word in words)) or NOTHING


def json_text(value: Any) -> SafeString:
    """Render JSON with one member a line."""
    if not value:
        return NOTHING
    return format_html('<pre class="luna-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))


def recognised(similarity: float, label: str, name: Any) -> SafeString:
    """Render the most similar object of an event. It is named only if the similarity suffices for a match."""
    bar = similarity_bar(similarity, label)
    if similarity >= SAME_PERSON:
        return format_html("<b>{}</b><br>{}", name, bar) if name else bar
    return format_html("{}<br>{}", bar, render_to_string("admin/luna/weak.html"))


def similarity_bar(similarity: float, label: str = "") -> SafeString:
    """Render a similarity 0..1 as a bar and a number."""
    return format_html(
        '<span class="luna-nowrap"><meter class="luna-similarity" value="{}"></meter> {} {}</span>',
        f"{similarity:.3f}",
        number_text(similarity, 3),
        label,
    )
