"""Lines of several bots come in the order of time, whatever they are read from."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from manager.cli import multiplexed_logs
from manager.errors import FAILED, OK, EngineUnreachable, ManagerError
from manager.monitor.logs import meaning, printing, time_order
from manager.monitor.logs.lines import LogLine
from manager.monitor.logs.pattern import Pattern
from manager.monitor.logs.printing import Printer
from manager.util import console


def line(text: str, second: float | None = None, *, moment: float = 0.0) -> LogLine:
    """A line of the engine's log at this second of a day, or one of a file."""
    stamp = "" if second is None else f"2026-03-20T08:00:{second:012.9f}Z"
    return LogLine("stdout", text.encode(), stamp, "" if stamp else "2026-03-20/bot_stdout.log", moment)


START = time_order.moment_of(line("", 0.0))


class Lines:
    """A source with these lines: past ones, and ones that come later."""

    def __init__(
        self, *past: LogLine, live: tuple[LogLine, ...] = (), error: Exception | None = None
    ) -> None:
        self.query = SimpleNamespace(past=True)
        self._past, self._live, self._error = past, live, error

    def past(self) -> Iterator[LogLine]:
        yield from self._past
        if self._error is not None:
            raise self._error

    def live(self) -> Iterator[LogLine]:
        yield from self._live


class Output:
    """Standard output of a pipe."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.buffer = io.BytesIO()

    def isatty(self) -> bool:
        return False

    @property
    def lines(self) -> list[str]:
        return self.buffer.getvalue().decode().splitlines()


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    made = Output()
    monkeypatch.setattr(printing, "sys", SimpleNamespace(stdout=made))
    return made


def shown(
    output: Output, follow: bool = False, tail: int | None = None, pattern: str = "", **sources: Any
) -> int:
    printer = Printer(list(sources), stamps=False, as_json=False)
    multiplexer = multiplexed_logs.Multiplexer(SimpleNamespace(), sources, follow=follow)  # type: ignore[arg-type]
    return multiplexer.run(printer, Pattern(re.compile(pattern)) if pattern else None, tail)


def test_the_past_of_several_bots_is_merged(output: Output) -> None:
    code = shown(
        output,
        a=Lines(line("a1", 1), line("a4", 4.5), line("a5", 4.6)),
        b=Lines(line("b0", 0.5), line("b2", 2)),
        c=Lines(line("c3", 4.4)),
    )
    assert output.lines == ["b | b0", "a | a1", "b | b2", "c | c3", "a | a4", "a | a5"]
    assert code == OK


def test_lines_of_files_and_of_the_engine_are_one_order(output: Output) -> None:
    shown(
        output,
        a=Lines(line("file", moment=START + 1), line("  its trace", moment=0.0), line("engine", 3)),
        b=Lines(line("between", 2), line("late", 9)),
    )
    assert output.lines == ["a | file", "a |   its trace", "b | between", "a | engine", "b | late"]


def test_a_bot_that_was_quiet_holds_nothing_in_memory(output: Output) -> None:
    """One has much to say before the other's first line: queues are bounded, and nobody waits for ever."""
    many = [line(f"a{number}", 1 + number / 10_000) for number in range(5000)]
    thread = threading.Thread(
        target=shown, args=(output,), kwargs={"a": Lines(*many), "b": Lines(line("b", 50))}, daemon=True
    )
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert output.lines == [*(f"a | a{number}" for number in range(5000)), "b | b"]


def test_the_last_matching_lines_of_each_are_merged(output: Output) -> None:
    shown(
        output,
        tail=1,
        pattern="x",
        a=Lines(line("x1", 1), line("x3", 3), line("y", 4)),
        b=Lines(line("x2", 2)),
    )
    assert output.lines == ["b | x2", "a | x3"]


def test_who_has_no_matching_line_for_long_does_not_hold_up_the_others(output: Output) -> None:
    """The search through the one goes on and on: what another has from before is shown meanwhile."""
    is_shown = threading.Event()

    class Endless(Lines):
        def past(self) -> Iterator[LogLine]:
            for number in range(multiplexed_logs.BATCH * (multiplexed_logs.MOST_WAITING + 3)):
                yield line("no", 10 + number / 1000)
            assert is_shown.wait(30)

    class Buffer(io.BytesIO):
        def flush(self) -> None:
            if self.getvalue() == b"b | x1\n":
                is_shown.set()

    output.buffer = Buffer()
    shown(output, pattern="x", a=Endless(), b=Lines(line("x1", 1), line("x50", 50)))
    assert is_shown.is_set()
    assert output.lines == ["b | x1", "b | x50"]


def test_following_goes_on_after_the_past(output: Output) -> None:
    code = shown(
        output,
        follow=True,
        a=Lines(line("a1", 1), live=(line("a5", 5), line("a7", 7))),
        b=Lines(line("b2", 2), live=(line("b6", 6),)),
    )
    assert output.lines[:2] == ["a | a1", "b | b2"]
    assert sorted(output.lines[2:]) == ["a | a5", "a | a7", "b | b6"]
    assert output.lines.index("a | a5") < output.lines.index("a | a7")
    assert code == OK


def test_what_arrives_together_is_ordered_and_each_bots_own_order_stays() -> None:
    arrived = [("a", line("a2", 2)), ("b", line("b1", 1)), ("a", line("a1", 1)), ("c", line("c3", 3))]
    assert [arrival.text for _name, arrival in time_order.ordered(arrived)] == [b"b1", b"a2", b"a1", b"c3"]


@pytest.mark.parametrize("follow", [False, True])
def test_one_that_cannot_be_read_keeps_no_other_from_being_shown(
    output: Output, capsys: pytest.CaptureFixture[str], follow: bool
) -> None:
    code = shown(output, follow, a=Lines(line("a1", 1), error=ManagerError("no")), b=Lines(line("b2", 2)))
    assert output.lines == ["a | a1", "b | b2"]
    assert code == FAILED


def test_an_engine_that_goes_away_ends_all(output: Output) -> None:
    with pytest.raises(EngineUnreachable):
        shown(output, a=Lines(error=EngineUnreachable("gone")), b=Lines(line("b", 1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-20 08:00:00 INFO    ready", "info"),
        ("2026-03-20 08:00:00,123 ERROR   no answer", "error"),
        ("2026-03-20T08:00:00.5+08:00 - WARNING - slow", "warning"),
        ("[2026-03-20 08:00:00] [CRITICAL] x", "critical"),
        ("an ERROR in a sentence", None),
        ("2026-03-20 08:00:00 ERRORS are rare", None),
    ],
)
def test_a_level_stands_behind_the_time_stamp(text: str, expected: str | None) -> None:
    assert meaning.level(text) == expected


def test_a_fill_is_parsed_and_in_json(output: Output) -> None:
    text = "2026-03-20 08:00:00 INFO    filled BUY  0.001 @ 99353.5  position 0 BTC  P&L +6.1671 USDC"
    assert meaning.fill(text) == ("buy", "0.001", "99353.5")
    part = text.replace("0.001", "0.001 of 0.1")
    assert (meaning.fill(part), meaning.colour(part)) == (meaning.fill(text), meaning.BUY)
    printer = Printer(["a"], stamps=False, as_json=True)
    printer.show("a", [line(text, 1), line("nothing", 2)])
    first, second = map(json.loads, output.lines)
    assert (first["level"], first["fill"]) == (
        "info",
        {"side": "buy", "quantity": "0.001", "price": "99353.5"},
    )
    assert (second["level"], second["fill"]) == (None, None)


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    error = line("2026-03-20 08:00:00 ERROR   no \x1b[35manswer", 1)
    Printer(["a"], stamps=False, as_json=False).show("a", [error])
    monkeypatch.setattr(output, "isatty", lambda: True)
    monkeypatch.setattr(console, "has_colour", lambda: True)
    Printer(["a"], stamps=False, as_json=False).show("a", [error])
    assert output.lines[0].encode() == error.text
    assert output.lines[1] == "\x1b[31m2026-03-20 08:00:00 ERROR   no answer\x1b[0m"
