"""The share of processors and GPU that recognition in background tasks takes: what requests leave.

The worker's process calls `recognise_in_background` once. Its threads of recognition then have a lower priority of the
operating system than the threads of web processes, and its engine never holds more than one batch on a GPU. Priorities
apply between processes of one control group; docs/operations.md has the settings of containers.
"""

from apps.common.config import config
from apps.common.processors import lower_priority
from apps.recognition.config import BackgroundRecognition

DEADLINE_S = 600.0  # of one picture: on a busy machine it waits for requests
_in_background = False


def recognise_in_background() -> None:
    """Declare that this process recognises for background tasks only. Call it before the engine's first use."""
    global _in_background
    _in_background = True


def in_background() -> bool:
    return _in_background


def yielding() -> None:
    """Lower the priority of the calling thread, and of threads that it starts, in a process of background tasks.

    An initializer of thread pools.
    """
    if _in_background:
        lower_priority(config(BackgroundRecognition).niceness)
