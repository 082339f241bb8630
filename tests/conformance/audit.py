"""The audit lines of a test."""

from apps.accounts.models import AuditRecord

Line = tuple[str, str, str]  # action, type and id of the object


def lines_of(action: str | None = None) -> list[Line]:
    """Return the lines, oldest first, of all actions or of one."""
    rows = AuditRecord.objects.order_by("id").values_list("action", "object_type", "object_id")
    return [row for row in rows if action in (None, row[0])]
