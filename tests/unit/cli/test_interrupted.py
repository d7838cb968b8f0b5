"""What a command says that somebody ends before it has begun to change anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from manager.cli import ending, main


def test_a_signal_that_comes_again_while_the_first_one_is_told_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As from `timeout -s INT`, which sends it to the program and to its group."""
    sent: list[int] = []

    def text(interruption: KeyboardInterrupt, real: Callable[[KeyboardInterrupt], str] = ending.text) -> str:
        if not sent:
            sent.append(1)
            os.kill(os.getpid(), signal.SIGINT)
        return real(interruption)

    def work() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ending, "text", text)
    try:
        code = main.guarded(work)
    except KeyboardInterrupt:
        pytest.fail("it is not caught")
    assert code == 130
    assert capsys.readouterr().err == "interrupted\n"
