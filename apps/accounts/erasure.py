"""What goes when an account goes.

Rows that belong to an account are deleted with it by the database. A room that keeps something elsewhere (files, keys
in Redis) connects to `account_erasing` in its `AppConfig.ready()`; receivers get `account_id: UUID`, run inside the
transaction while the rows still exist, and leave what cannot be undone to `transaction.on_commit`.
"""

from django.dispatch import Signal

account_erasing = Signal()
