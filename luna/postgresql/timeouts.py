"""Timeouts of statements and locks in processes that serve requests."""

from typing import Any

from django.db.backends.signals import connection_created


def bound_statements(*, statement_s: float, lock_s: float) -> None:
    """Set both timeouts on each connection that this process opens after the call.

    PostgreSQL cancels a statement that exceeds one, and the API answers with DATABASE_TIMEOUT. Tasks and commands have
    no such timeouts, because migrations and extractions take long.
    """

    def bound(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
                [f"{statement_s * 1000:.0f}", f"{lock_s * 1000:.0f}"],
            )

    connection_created.connect(bound, weak=False, dispatch_uid="luna.postgresql.timeouts")
