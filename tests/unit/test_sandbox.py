"""The sandbox's clock goes on by what its own test does, and by nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.fakes.sandbox import a_sandbox


class Left:
    """A thread that another test has left, such as one that follows a command until that has ended."""

    def __init__(self) -> None:
        self._now, self._done = Event(), Event()
        self._thread = Thread(target=self._sleep, daemon=True)
        self._thread.start()

    def _sleep(self) -> None:
        self._now.wait(60)
        time.sleep(0.001)
        self._done.set()

    def goes_on(self) -> None:
        """Let it sleep, and wait until it has."""
        self._now.set()
        assert self._done.wait(60)
        self._thread.join()


@pytest.fixture(name="left")
def _left() -> Iterator[Left]:
    left = Left()
    yield left
    left.goes_on()


def test_a_thread_that_another_test_has_left_does_not_move_the_clock(
    left: Left, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_sandbox(tmp_path, monkeypatch, capsys) as sandbox:
        before = time.monotonic()
        left.goes_on()
        assert time.monotonic() == before == sandbox.clock.monotonic()
        time.sleep(2.0)
        assert sandbox.clock.monotonic() == before + 2.0
