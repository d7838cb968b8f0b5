"""How long a guesser waits, and who else does."""

from __future__ import annotations

from manager.web.web_side.attempts import FIRST_PAUSE_S, FREE, FREE_OF_ALL, Attempts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_right_password_is_no_guess() -> None:
    """Many people who sign in would else make each other wait."""
    counted = Attempts(Clock())
    for number in range(2 * FREE_OF_ALL):
        assert counted.begin(f"10.0.0.{number}") == 0
        counted.succeeded(f"10.0.0.{number}")
    for number in range(FREE_OF_ALL):
        assert counted.begin(f"10.1.0.{number}") == 0
    assert counted.begin("10.2.0.1") > 0


def test_the_pause_begins_when_the_password_was_looked_at() -> None:
    clock = Clock()
    counted = Attempts(clock)
    for _number in range(FREE):
        counted.begin("a")
    clock.now += 3
    counted.failed("a")
    assert counted.begin("a") == FIRST_PAUSE_S
