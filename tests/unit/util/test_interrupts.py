"""Ctrl-C while something is under way: real signals to this process."""

from __future__ import annotations

import os
import signal
from threading import Thread

import pytest

from manager.util.interrupts import note_interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_it_is_a_note_and_no_exception_and_afterwards_an_exception_again() -> None:
    notes: list[int] = []
    with note_interrupts(lambda: notes.append(1)):
        press()
        press()
    assert notes == [1, 1]
    with pytest.raises(KeyboardInterrupt):
        press()


def test_the_programs_own_handler_still_runs() -> None:
    heard: list[int] = []

    def handler(number: int, _frame: object) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        with note_interrupts(lambda: heard.append(0)):
            press()
        assert heard == [0, signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with note_interrupts(lambda: pytest.fail("nobody pressed anything")):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_is_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with note_interrupts(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
