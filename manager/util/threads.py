"""Run work in threads: many tasks with their results as they end, or one task in advance.

It replaces `concurrent.futures`, whose import takes 9 ms more: restarting one bot is measured in hundredths
of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Semaphore, Thread

from manager.typed import Generic, TypeVar

Result = TypeVar("Result")

SIGNALS_NOTICED_WITHIN_S = 0.5
"""A signal that comes in the instant before a thread waits, or to another thread, does not wake it: Python
calls the handler when the waiting ends.
"""


class TaskGroup(Generic[Result]):
    """Run tasks at once, at most `most` of them at the same time."""

    def __init__(self, work: Iterable[Callable[[], Result]], most: int) -> None:
        self._ended: SimpleQueue[Result | BaseException] = SimpleQueue()
        self._room = Semaphore(most)
        self.pending = 0
        """The number of results not yet returned."""
        for task in work:
            self.pending += 1
            Thread(target=self._run, args=(task,)).start()

    def result(self) -> Result:
        """Wait for the next result and return it; exceptions of the task are raised here.

        Ctrl-C interrupts the waiting and loses no result.
        """
        while True:
            try:
                ended = self._ended.get(timeout=SIGNALS_NOTICED_WITHIN_S)
            except Empty:
                continue
            self.pending -= 1
            return _given(ended)

    def __iter__(self) -> Iterator[Result]:
        """Yield every result as it arrives."""
        while self.pending:
            yield self.result()

    def _run(self, work: Callable[[], Result]) -> None:
        with self._room:
            self._ended.put(_ended(work))


class Deferred(Generic[Result]):
    """Run one task, started immediately."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._results: list[Result | BaseException] = []
        self._thread = Thread(target=lambda: self._results.append(_ended(work)))
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Return whether the result is there."""
        return bool(self._results)

    def wait(self) -> None:
        """Wait until it is over, whatever its result."""
        while self._thread.is_alive():
            self._thread.join(SIGNALS_NOTICED_WITHIN_S)

    def result(self) -> Result:
        """Return the result, in any number of threads; exceptions are raised in each of them."""
        self.wait()
        return _given(self._results[0])


def _ended(work: Callable[[], Result]) -> Result | BaseException:
    """Return the result, or the exception, which is for the caller that asks for the result."""
    try:
        return work()
    except BaseException as error:  # noqa: BLE001
        return error


def _given(ended: Result | BaseException) -> Result:
    if isinstance(ended, BaseException):
        raise ended
    return ended
