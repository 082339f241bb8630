"""Wake-ups of workers for new callbacks."""

from apps.common.process import PerProcess
from apps.common.wakeups import Waker

CHANNEL = "luna:callbacks"

waker = PerProcess("callback wake-ups", lambda: Waker(CHANNEL), close=Waker.close)


def wake() -> None:
    """Report new callbacks to the workers. Never blocks."""
    waker().wake()
