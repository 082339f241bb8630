"""The base of pages that edit settings, limitations and groups."""

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from apps.accounts.adminbase import DeletingAdmin
from apps.configurator.admin.changes import KEYS, history_of
from apps.configurator.choices import Kind


class EditorAdmin(DeletingAdmin):
    """A page with an editor of its own. `kind`: the kind of its rows in the history."""

    may_add = may_change = True

    kind: ClassVar[Kind]

    def edited(self, request: HttpRequest, row: Any, *, is_gone: bool, may_save: bool) -> HttpResponse:
        """Show the editor, or save. `row`: None for a new one; `is_gone`: it was deleted after the page was opened."""
        raise NotImplementedError

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = None if object_id is None else self.get_object(request, object_id)
        may_save = self.has_add_permission(request) if row is None else self.has_change_permission(request, row)
        if not may_save and (row is None or request.method == "POST" or not self.has_view_permission(request)):
            raise PermissionDenied
        is_gone = object_id is not None and row is None
        if is_gone and request.method != "POST":
            return self.missing(request, object_id)
        return self.edited(request, row, is_gone=is_gone, may_save=may_save)

    def missing(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        """Return to the first page, with a message."""
        found: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, str(object_id))
        return found

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        return HttpResponseRedirect(history_of(self.kind, getattr(row, KEYS[self.kind]) if row else ""))
