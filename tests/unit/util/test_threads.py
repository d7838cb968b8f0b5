"""Work in threads: what its waiting thread still hears."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from manager.util.interrupts import Ending
from manager.util.polling import wait_until
from manager.util.threads import Deferred, TaskGroup

WAITERS: dict[str, Callable[[Callable[[], bool]], bool]] = {
    "TaskGroup": lambda work: next(iter(TaskGroup([work], 1))),
    "Deferred": lambda work: Deferred(work).result(),
}


@pytest.mark.parametrize("waiter", WAITERS)
def test_a_signal_that_does_not_wake_the_waiting_is_heard_while_the_work_goes_on(waiter: str) -> None:
    """As one does that comes just before the waiting begins: it was heard when the work was over."""
    ending = Ending()

    def work() -> bool:
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        return wait_until(lambda: bool(ending.number), time.monotonic() + 20)

    with ending.begun():
        assert WAITERS[waiter](work)
    assert ending.number == signal.SIGTERM
