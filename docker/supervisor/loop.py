"""Run one event loop for descriptors, timers and signals."""

import math
import os
import select
import time
from _collections_abc import Callable

from supervisor import signals

READ, WRITE = select.POLLIN, select.POLLOUT
Action = Callable[[], None]


class Loop:
    """Call actions, one at a time.

    Timers are in monotonic seconds, so that a stepping clock does not move them.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._actions: dict[int, Action] = {}
        self._timers: dict[str, tuple[float, Action]] = {}
        self._result: int | None = None

    def watch(self, fd: int, events: int, action: Action) -> None:
        """Call `action` whenever `fd` is ready."""
        self._poll.register(fd, events)
        self._actions[fd] = action

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd`; to be called before it is closed. Does nothing when it is not watched."""
        if self._actions.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def after(self, name: str, seconds: float, action: Action) -> None:
        """Call `action` once after `seconds`. Replaces the timer of the same name."""
        self._timers[name] = (time.monotonic() + seconds, action)

    def cancel(self, name: str) -> None:
        """Remove the timer `name`, if it is set."""
        self._timers.pop(name, None)

    def on_signals(self, handlers: dict[int, Action]) -> None:
        """Call a handler from the loop, between actions, when its signal has arrived."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

        def dispatch() -> None:
            for number in sorted(set(os.read(wake_read, 4096))):
                if number in handlers:
                    handlers[number]()

        for number in handlers:
            signals.signal(number, lambda *_: None)  # only what has a handler reaches the wake-up pipe
        signals.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.watch(wake_read, READ, dispatch)

    def stop(self, result: int) -> None:
        """End `run`, which returns `result`."""
        self._result = result

    def run(self) -> int:
        """Call actions until `stop` is called; return its result."""
        while self._result is None:
            ready = [(fd, self._actions[fd]) for fd, _ in self._poll.poll(self._sleep_ms())]
            for fd, action in ready:
                # An earlier one of this round may have closed its descriptor.
                if self._actions.get(fd) is action:
                    action()
            self._fire()
        return self._result

    def _sleep_ms(self) -> int | None:
        if not self._timers:
            return None
        return max(0, math.ceil(1000 * (min(due for due, _ in self._timers.values()) - time.monotonic())))

    def _fire(self) -> None:
        now = time.monotonic()
        for name, timer in sorted(self._timers.items(), key=lambda item: item[1][0]):
            if timer[0] <= now and self._timers.get(name) is timer:
                del self._timers[name]
                timer[1]()
