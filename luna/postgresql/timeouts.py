"""Bounds on statements and locks, for processes whose clients wait for them."""

from typing import Any

from django.db.backends.signals import connection_created


def bound_statements(*, statement_s: float, lock_s: float) -> None:
    """Set both bounds on every connection that this process opens from now on.

    PostgreSQL then ends the statement: DATABASE_TIMEOUT. Tasks and commands have no such bounds: migrations and
    extractions take long.
    """

    def bound(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
                [f"{statement_s * 1000:.0f}", f"{lock_s * 1000:.0f}"],
            )

    connection_created.connect(bound, weak=False, dispatch_uid="luna.postgresql.timeouts")
