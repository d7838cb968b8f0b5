"""The benchmark's default run keeps to its time."""

from __future__ import annotations

import math
import os
import re
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from bench import sections, shell
from bench.__main__ import LEAST_S, NORMAL
from bench.measure import Findings, alternating
from bench.project import Workshop

MACHINE_OF_RESULTS = {
    "parallelism": (0, 16),
    "short commands": (12, 0),
    "output through the supervisor": (0, 8),
    "fleets": (109, 54),
    "whole tasks": (85, 0),
    "the fleet's page": (50, 0),
    "growth": (32, 0),
    "an idle instance": (69, 0),
    "image and start": (12, 0),
    "the first up": (0, 15),
}
"""Seconds that a section took there: what does not depend on the rounds, and each round."""


@pytest.mark.parametrize(
    ("no_round_after", "least", "rounds"), [(-1.0, 1, 1), (-1.0, 2, 2), (math.inf, 1, 3)]
)
def test_there_are_as_many_rounds_as_said_and_none_begins_when_the_time_is_over(
    no_round_after: float, least: int, rounds: int
) -> None:
    contenders = {"ours": lambda: 1.0, "theirs": lambda: 2.0}
    samples = alternating(contenders, 3, time.monotonic() + no_round_after, least)
    assert [len(sample.values) for sample in samples.values()] == [rounds, rounds]


@pytest.mark.parametrize("slower", [0.5, 1.0, 1.2])
def test_every_section_has_its_place_within_the_time(monkeypatch: pytest.MonkeyPatch, slower: float) -> None:
    """On a slower machine rows get fewer rounds."""
    took, left_out = _run(monkeypatch, slower)
    assert not left_out
    assert took <= 60 * NORMAL.minutes


def test_what_has_no_time_any_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _took, left_out = _run(monkeypatch, slower=3.0)
    assert list(left_out)[-1] == list(LEAST_S)[-1]
    assert re.fullmatch("it takes 17 s or more, and [0-9]+ s were left", left_out["the first up"])


def test_at_once_every_section_runs_and_one_that_fails_is_named() -> None:
    """Those that are first run side by side: each waits here for the others."""
    findings, together, ran = Findings(), threading.Barrier(3), []

    def waits() -> None:
        together.wait(60)
        ran.append("waits")

    def fails() -> None:
        together.wait(60)
        raise ValueError("no such row")

    works = {"short": lambda: ran.append("short"), "a": waits, "b": waits, "c": fails}
    sections.run_at_once(works, ("c", "b"), findings)
    assert sorted(ran) == ["short", "waits", "waits"]
    assert [(t.row, t.kind, t.why) for t in findings.troubles] == [("c", "failed", "ValueError: no such row")]


def test_an_interruption_ends_all_that_runs_at_once_before_anything_is_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of the sections tidies up, by programs too; what has not begun does not begin."""
    monkeypatch.setattr(shell, "_is_interrupted", threading.Event())
    findings, tidied, began = Findings(), [], threading.Barrier(4)
    second = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)

    def section() -> None:
        try:
            began.wait(60)
            shell.run(["sleep", "90"])
        finally:
            tidied.append(shell.run(["echo", "tidy"]).out)

    def between_programs() -> None:
        try:
            began.wait(60)
            shell._is_interrupted.wait(60)
            with findings.row("next"):
                tidied.append("the next row")
        finally:
            os.kill(os.getpid(), signal.SIGINT)  # once more
            tidied.append(shell.run(["echo", "tidy"]).out)

    def interrupts() -> None:
        began.wait(60)
        deadline = time.monotonic() + 60
        while len(shell._running) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        shell._is_interrupted.wait(60)

    works = {"a": section, "b": section, "c": between_programs, "d": interrupts}
    works |= {name: partial(tidied.append, "begun later") for name in "efgh"}
    try:
        with pytest.raises(KeyboardInterrupt):
            sections.run_at_once(works, ("a", "b"), findings)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), second, strict=True):
            signal.signal(number, handler)
    assert tidied.count("tidy\n") == 3
    assert {*tidied} == {"tidy\n"}
    assert findings.troubles == []
    assert not shell._running


def _run(monkeypatch: pytest.MonkeyPatch, slower: float) -> tuple[float, dict[str, str]]:
    """Return how long a run takes on a machine so much slower, and what is left out, with the reasons."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    shop, findings = Workshop(Path(), "", ends_at=60 * NORMAL.minutes), Findings()

    def work(once: float, each_round: float) -> None:
        nonlocal now
        now += slower * once
        until = shop.share(0.5)
        for number in range(NORMAL.rounds if each_round else 0):
            if number and now + slower * each_round / 2 > until:
                break
            now += slower * each_round

    works = {name: partial(work, *times) for name, times in MACHINE_OF_RESULTS.items()}
    sections.run(works, LEAST_S, shop, findings)
    return now, {trouble.row: trouble.why for trouble in findings.troubles}
