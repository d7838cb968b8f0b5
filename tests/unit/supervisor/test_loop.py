"""What the loop does not call any more."""

import os

from supervisor.loop import READ, Loop


def test_what_an_action_of_the_same_round_has_given_up_is_not_called() -> None:
    """Its descriptor is closed, and its number may be another file's by now."""
    loop, calls = Loop(), list[int]()
    pipes = [os.pipe() for _ in range(2)]

    def called(number: int) -> None:
        calls.append(number)
        for read, _write in pipes:
            loop.unwatch(read)
        loop.stop(0)

    try:
        for number, (read, write) in enumerate(pipes):
            os.write(write, b"x")
            loop.watch(read, READ, lambda number=number: called(number))  # type: ignore[misc]
        assert loop.run() == 0
        assert len(calls) == 1
    finally:
        for descriptor in (end for pipe in pipes for end in pipe):
            os.close(descriptor)


def test_a_timer_that_another_one_of_the_same_round_has_removed_does_not_fire() -> None:
    loop, calls = Loop(), list[str]()

    def first() -> None:
        calls.append("first")
        loop.cancel("second")
        loop.after("end", 0.0, lambda: loop.stop(0))

    loop.after("first", 0.0, first)
    loop.after("second", 0.0, lambda: calls.append("second"))
    assert loop.run() == 0
    assert calls == ["first"]
