"""Deliver messages: a thread with a bounded queue per address.

Slow or broken services never delay watching.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from manager.i18n import Text, _
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.messages import Message, joined
from manager.typed import NamedTuple

SEND_TIMEOUT_S = 60.0
"""A mail server may greet slowly; after this time it hangs."""
RETRY_AFTER_S = (5.0, 15.0, 60.0, 300.0, 900.0)
"""The last interval repeats: after an outage of hours everything is sent, in one message."""
MOST_WAITING = 100
"""Limit of queued messages per address; the oldest are dropped, and counted."""
LAST_TRY_S = 5.0
"""For messages in progress when watching stops."""


class Answer(NamedTuple):
    """Hold whether an address accepted a message, and if not, a hint."""

    ok: bool
    why: str = ""


def send(address: Address, message: Message, timeout: float = SEND_TIMEOUT_S) -> Answer:
    """Send a message and wait for the result. Never raises."""
    if not address.url:
        return Answer(False, str(Text("{name} is not set; write it into .env", name=address.reference)))
    text = json.dumps({"url": address.url, **message._asdict()})
    try:
        completed = subprocess.run(
            [sys.executable, "-P", "-m", "manager.monitor.watch.send"],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **address.environ},
        )
        answer = json.loads(completed.stdout)
        why = (
            _("apprise does not support this kind of address")
            if answer["why"] == "unknown"
            else answer["why"]
        )
        return Answer(bool(answer["ok"]), why)
    except subprocess.TimeoutExpired:
        return Answer(False, str(Text("no answer within {seconds} s", seconds=round(timeout))))
    except (OSError, ValueError, KeyError):
        return Answer(False, _("the sender process exited without output"))


class _Box(NamedTuple):
    """Hold the queue of one address."""

    address: Address
    waiting: deque[Message]


class Deliverer:
    """Run the thread. `complain` receives a line about what could not be sent, in the thread."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._boxes: dict[str, _Box] = {}
        self._under_way: dict[str, tuple[Message, ...]] = {}
        self._fails: dict[str, int] = {}
        self._next_try: dict[str, float] = {}
        self._changed = threading.Condition()
        self._is_ending = False
        self._delivered_at: float | None = None
        self._thread: threading.Thread | None = None

    def put(self, message: Message, addresses: Sequence[Address]) -> None:
        """Queue a message for each address. Never waits."""
        with self._changed:
            for address in addresses:
                box = self._boxes.get(address.reference)
                waiting = box.waiting if box else deque[Message](maxlen=MOST_WAITING)
                if len(waiting) == MOST_WAITING:
                    self._complain(_lost(address))
                waiting.append(message)
                self._boxes[address.reference] = _Box(address, waiting)
            if self._thread is None and addresses:
                self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)
                self._thread.start()
            self._changed.notify()

    def waiting(self) -> Mapping[str, tuple[Message, ...]]:
        """Return what was not sent yet: an address's reference → messages, the oldest first."""
        with self._changed:
            return {
                name: messages
                for name, box in self._boxes.items()
                if (messages := (*self._under_way.get(name, ()), *box.waiting))
            }

    @property
    def delivered_at(self) -> float | None:
        """Return the Unix time at which a receiver has last accepted a message; None before the first."""
        with self._changed:
            return self._delivered_at

    def close(self) -> None:
        """Try once more to send what is queued, for a limited time."""
        with self._changed:
            self._is_ending = True
            self._next_try.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(LAST_TRY_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (due := self._due()) is None:
                    if self._is_ending:
                        return
                    self._changed.wait(self._pause())
                box, batch = due, list(due.waiting)
                box.waiting.clear()
                self._under_way = {box.address.reference: tuple(batch)}
            answer = send(box.address, joined(batch))
            with self._changed:
                self._under_way = {}
                self._note(box, batch, answer)

    def _due(self) -> _Box | None:
        now = time.monotonic()
        for name, box in self._boxes.items():
            if box.waiting and self._next_try.get(name, 0) <= now:
                return box
        return None

    def _pause(self) -> float | None:
        waiting = [self._next_try.get(name, 0) for name, box in self._boxes.items() if box.waiting]
        return max(0.05, min(waiting) - time.monotonic()) if waiting else None

    def _note(self, box: _Box, batch: list[Message], answer: Answer) -> None:
        name = box.address.reference
        if answer.ok:
            self._fails.pop(name, None)
            self._next_try.pop(name, None)
            self._delivered_at = time.time()
            return
        fails = self._fails[name] = self._fails.get(name, 0) + 1
        delay = RETRY_AFTER_S[min(fails, len(RETRY_AFTER_S)) - 1]
        self._next_try[name] = float("inf") if self._is_ending else time.monotonic() + delay
        room = MOST_WAITING - len(box.waiting)
        box.waiting.extendleft(reversed(batch[len(batch) - min(len(batch), room) :]))
        why = f" ({answer.why})" if answer.why else ""
        self._complain(
            str(
                Text(
                    "cannot send to {address}{why}; {count} messages are queued, the next attempt is in"
                    " {seconds} s",
                    address=box.address.shown,
                    why=why,
                    count=len(box.waiting),
                    seconds=round(delay),
                )
            )
        )


def _lost(address: Address) -> str:
    return str(
        Text("too many messages are queued for {address}; the oldest is dropped", address=address.shown)
    )
