"""The Celery application. It finds the tasks of each room in the room's module `jobs`."""

import os
from typing import Any

from celery import Celery, Task
from celery.signals import beat_init, worker_init, worker_ready, worker_shutdown
from django.conf import settings

from luna.startup import readable_settings, require_checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "luna.settings")


class Job(Task):
    """A Celery task, whose executions have spans."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from apps.monitoring.traces import job_span  # Django is set up now

        with job_span(self.name):
            return super().__call__(*args, **options)


app = Celery("luna", task_cls=Job)
with readable_settings():
    app.config_from_object(settings, namespace="CELERY", force=True)
app.autodiscover_tasks(related_name="jobs")


@worker_init.connect
@beat_init.connect
def check_start(**kwargs: object) -> None:
    """Run the system checks when a worker or the scheduler starts; end the process if one fails."""
    require_checks()


@worker_init.connect
def leave_processors_to_requests(**kwargs: object) -> None:
    """Give recognition in tasks of this process what requests leave."""
    from apps.recognition.run.share import recognise_in_background  # Django is set up now

    recognise_in_background()


@worker_ready.connect
def build_lists(**kwargs: object) -> None:
    """Keep the lists in memory up to date from this process, unless another one does."""
    from apps.matching.segments.fast_building import fast_running  # Django is set up now
    from apps.matching.segments.running import running

    running()
    fast_running()


@worker_ready.connect
@beat_init.connect
def follow_settings(**kwargs: object) -> None:
    """Apply changed settings in this process."""
    from apps.configurator.reloading import reloader  # Django is set up now

    reloader().start()


@worker_ready.connect
def publish_status(**kwargs: object) -> None:
    """Publish the status of this process for operators."""
    from apps.monitoring.processes import publisher  # Django is set up now

    publisher().start("worker")


@beat_init.connect
def publish_status_of_beat(**kwargs: object) -> None:
    """Publish the status of the scheduler."""
    from apps.monitoring.processes import publisher  # Django is set up now

    publisher().start("beat")


@worker_ready.connect
def store_statistics(**kwargs: object) -> None:
    """Store the numbers of estimations of this process."""
    from apps.monitoring.counting import counts  # Django is set up now

    counts().start()


@worker_ready.connect
def follow_lists(**kwargs: object) -> None:
    """Keep the lists in Milvus up to date from this process, if the plugin is active and no other worker does."""
    from apps.matching.milvus.sync import running  # Django is set up now

    running()


@worker_ready.connect
def deliver_callbacks(**kwargs: object) -> None:
    """Deliver stored callbacks in threads of this process, beside those of other workers."""
    from apps.sender.delivery.deliverer import deliverer  # Django is set up now

    deliverer()


@worker_ready.connect
def execute_tasks(**kwargs: object) -> None:
    """Execute background tasks in threads of this process, beside those of other workers."""
    from apps.tasks.machine.dispatcher import dispatcher  # Django is set up now

    dispatcher()


@worker_shutdown.connect
def give_tasks_back(**kwargs: object) -> None:
    """End the running stages of background tasks, which other workers continue, before what they use is closed."""
    from apps.tasks.machine.dispatcher import dispatcher  # Django is set up now

    dispatcher.close()
