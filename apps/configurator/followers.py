"""How far running processes have followed the stored settings, by the status that they publish."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.common.refusals import sentence
from apps.configurator.history import version
from apps.monitoring.processes import ProcessStatus, processes

STATUS = "settings"  # the per-process object of `reloading`


class Arrival(TextChoices):
    """Whether the present settings have arrived in a process."""

    APPLIED = "applied", _("applied")
    WAITING = "waiting", _("not yet")
    RESTART = "restart", _("after a restart")
    FAILED = "failed", _("failed, the former values stay")


@dataclass(frozen=True, slots=True)
class Follower:
    """A process. `waiting`: names of its groups that need a restart; `error`: why it has not applied the settings."""

    name: str
    arrival: Arrival
    waiting: Sequence[str]
    error: str


def followers(group_name: str = "") -> list[Follower]:
    """Return the processes that follow stored settings; nothing while Redis is away.

    `group_name`: a group, so that only its own changes count as waiting for a restart.
    """
    present = version()
    return [_follower(each, present, group_name) for each in processes() if STATUS in each.objects]


def _follower(process: ProcessStatus, present: int, group_name: str) -> Follower:
    status = process.objects[STATUS]
    error, waiting = str(status.get("error", "")), str(status.get("restart", "")).split(", ")
    applied = int(str(status.get("version", 0))) >= present
    waiting = [each for each in waiting if each and group_name in ("", each)]
    if not applied:
        arrival = Arrival.FAILED if error else Arrival.WAITING
    else:
        arrival = Arrival.RESTART if waiting else Arrival.APPLIED
    return Follower(process.name, arrival, waiting, sentence(error))
