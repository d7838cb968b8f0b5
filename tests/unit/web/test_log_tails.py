"""Readers of the bots' logs: each line once, also for one that was away, and no child stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from manager.errors import Locked
from manager.web.engine_side import log_tails
from manager.web.engine_side.log_tails import Lines, Tails, Wanted

PRINT = "import sys, time; [print(line, flush=True) for line in sys.argv[1:]]; time.sleep(60)"


class Children:
    """Real children that print some lines."""

    def __init__(self) -> None:
        self.lines = [a_line(f"line {number}") for number in range(3)]
        self.asked: list[Wanted] = []
        self.started: list[subprocess.Popen[bytes]] = []
        self.code = PRINT

    def start(self, words: Wanted) -> subprocess.Popen[bytes]:
        self.asked.append(words)
        child = subprocess.Popen([sys.executable, "-c", self.code, *self.lines], stdout=subprocess.PIPE)
        self.started.append(child)
        return child


def a_line(text: str, **more: Any) -> str:
    return json.dumps({"id": "bp_sol_01", "line": text, "level": None, "fill": None, **more})


@pytest.fixture
def children() -> Children:
    return Children()


@pytest.fixture
def tails(children: Children) -> Iterator[Tails]:
    made = Tails(None, children.start)
    yield made
    made.close()
    assert all(child.poll() is not None for child in children.started)


def until(ask: Callable[[], Lines], count: int) -> Lines:
    deadline = time.monotonic() + 20
    while len((answer := ask()).lines) < count:
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


def texts(answer: Lines) -> list[str]:
    return [line["line"] for line in answer.lines]


def test_the_first_answer_begins_anew_and_the_next_goes_on(tails: Tails) -> None:
    first = until(lambda: tails.after(["bp_sol_01"], 3, ""), 3)
    assert (first.name, texts(first)) == ("reset", ["line 0", "line 1", "line 2"])
    assert tails.after(["bp_sol_01"], 3, first.id) == Lines(first.id, "lines", [], is_live=True)
    boot = first.id.partition("-")[0]
    assert texts(tails.after(["bp_sol_01"], 3, f"{boot}-1")) == ["line 1", "line 2"]


@pytest.mark.parametrize("unknown", ["", "x", "-", "0000-1", "{boot}-4", "{boot}--1", "{boot}-²", "{boot}-"])
def test_an_id_that_says_nothing_begins_anew(tails: Tails, unknown: str) -> None:
    boot = until(lambda: tails.after([], 3, ""), 3).id.partition("-")[0]
    answer = tails.after([], 3, unknown.format(boot=boot))
    assert (answer.name, len(answer.lines)) == ("reset", 3)


def test_readers_of_the_same_bots_share_a_child(tails: Tails, children: Children) -> None:
    tails.after(["b", "a"], 3, "")
    tails.after(["a", "b"], 3, "")
    tails.after([], 200, "")
    assert children.asked == [("500", "a", "b"), ("5", *())]


def test_too_many_different_logs_are_refused(tails: Tails) -> None:
    for number in range(log_tails.MOST_TAILS):
        tails.after([f"bot_{number}"], 3, "")
    with pytest.raises(Locked):
        tails.after(["one_more"], 3, "")
    tails.after(["bot_0"], 3, "")


def test_a_child_that_nobody_reads_ends(
    tails: Tails, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    tails.after(["a"], 3, "")
    monkeypatch.setattr(log_tails, "READ_WITHIN_S", -1.0)
    tails.after(["b"], 3, "")
    assert children.started[0].wait(10) != 0


def test_a_child_that_has_ended_says_so_and_is_started_again(
    tails: Tails, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    children.code = ""
    tails.after([], 3, "")
    children.started[0].wait(10)
    assert not tails.after([], 3, "").is_live
    assert len(children.started) == 1
    monkeypatch.setattr(log_tails, "AGAIN_S", 0.0)
    children.code = PRINT
    assert until(lambda: tails.after([], 3, ""), 3).is_live


def test_what_a_bot_prints_is_made_safe_and_short(tails: Tails, children: Children) -> None:
    hostile = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202egnp"
    children.lines = ["no JSON", "[]", a_line(hostile), a_line("x" * 9999)]
    shown = texts(until(lambda: tails.after([], 1, ""), 2))
    assert shown == ["red \\u001b]0;title\\u0007 \\u202egnp", "x" * log_tails.MOST_CHARACTERS]
