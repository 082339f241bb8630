"""The Celery application. Each room keeps its tasks in a module `jobs`."""

import os

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "luna.settings")

app = Celery("luna")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")


@worker_init.connect
@beat_init.connect
def check_start(**kwargs: object) -> None:
    """End a worker, or the scheduler, that the platform's settings or files do not allow to start."""
    from luna.startup import require_checks

    require_checks()
