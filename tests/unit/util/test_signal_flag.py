"""That a signal has come: heard wherever it comes in the waiting for it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from manager.util.interrupts import Ending
from manager.util.signal_flag import SignalFlag

STEPS = 40
"""More than lines of Python are run by a wait that is not interrupted."""


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    sys.settrace(None)
    signal.signal(signal.SIGTERM, before)


def signal_at(step: int) -> list[str]:
    """Send SIGTERM before the line of this number that is run from here on in a function called from here.

    Returns where it was sent, once it is.
    """
    lines = 0
    sent: list[str] = []

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        if lines == step and not sent:
            sent.append(f"{frame.f_code.co_name}, line {frame.f_lineno}")
            signal.raise_signal(signal.SIGTERM)
        return trace

    sys.settrace(trace)
    return sent


@pytest.mark.timeout(20)
@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_signal_at_any_line_of_the_waiting_is_noted_and_blocks_nothing(step: int) -> None:
    """An Event, which it was, is set under the lock that its waiting holds at some of them."""
    flag = SignalFlag()
    signal.signal(signal.SIGTERM, flag.set)
    sent = signal_at(step)
    flag.wait(0.001)
    sys.settrace(None)
    assert flag.is_set() == bool(sent)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("step", range(1, STEPS))
def test_so_it_is_in_a_command_that_somebody_ends(step: int) -> None:
    ending = Ending()
    with ending.begun():
        sent = signal_at(step)
        ending.wait(0.001)
        sys.settrace(None)
    assert bool(ending.number) == bool(sent)


def test_it_ends_a_wait_and_stays_set() -> None:
    flag = SignalFlag()
    signal.signal(signal.SIGALRM, flag.set)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert flag.wait(60)
    began = time.monotonic()
    assert flag.wait(60)
    assert time.monotonic() - began < 30
    assert not SignalFlag().wait(0)
