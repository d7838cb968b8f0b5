"""Ctrl-C and SIGTERM while something is under way: real signals to this process."""

from __future__ import annotations

import os
import signal
from threading import Thread

import pytest

from manager.util import interrupts
from manager.util.interrupts import Ending, Interruption

BOTH = [signal.SIGINT, signal.SIGTERM]


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_what_has_not_begun_is_ended_at_once(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interruption) as raised, Ending().taken():
        send(number)
    assert raised.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", BOTH)
def test_what_has_begun_is_finished_and_a_second_signal_ends_it(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(interrupts, "SAME_ENDING_S", 0)
    notes: list[int] = []
    ending, before = Ending(), signal.getsignal(number)
    with ending.taken(lambda: notes.append(1)):
        with ending.begun():
            send(number)
            assert (ending.number, notes) == (number, [1])
        with pytest.raises(Interruption):
            send(number)
        ending.wait(60)  # whoever waits for a turn goes on at once
    assert ending.exit_code == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("second", BOTH)
@pytest.mark.parametrize("number", BOTH)
def test_a_signal_that_is_sent_to_the_program_and_to_its_group_is_one(
    monkeypatch: pytest.MonkeyPatch, number: int, second: int
) -> None:
    """As `timeout` does."""
    monkeypatch.setattr(interrupts, "SAME_ENDING_S", 60)
    notes: list[int] = []
    ending = Ending()
    with ending.taken(lambda: notes.append(1)), ending.begun():
        send(number)
        send(second)
    assert (ending.exit_code, notes) == (128 + number, [1])


def test_it_takes_the_signals_itself_where_nobody_has() -> None:
    ending = Ending()
    with ending.begun():
        send()
    assert ending.number == signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        send()


def test_the_programs_own_handler_still_runs_and_decides_what_ends_at_once() -> None:
    heard: list[int] = []

    def handler(number: int, _frame: object) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        ending = Ending()
        with ending.begun():
            send()
            send()
        assert heard == [signal.SIGINT, signal.SIGINT]
        assert (ending.number, ending.exit_code) == (signal.SIGINT, 0)
        assert signal.getsignal(signal.SIGINT) is handler
        with pytest.raises(KeyboardInterrupt), ending.taken():
            send()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", BOTH)
def test_an_ignored_signal_stays_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Ending().begun():
            assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_another_thread_is_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Ending().begun():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
