"""Wake-ups of workers for new and for cancelled tasks."""

from apps.common.process import PerProcess
from apps.common.wakeups import Waker

CHANNEL = "luna:tasks"

waker = PerProcess("task wake-ups", lambda: Waker(CHANNEL), close=Waker.close)


def wake() -> None:
    """Report changed tasks to the workers. Never blocks."""
    waker().wake()
