"""Tell when runs have ended whose databases do not say so, as those that were removed or replaced. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from manager.i18n import Text, _, mark
from manager.monitor.history.model import Run

NOT_RECORDED = mark("its end was not recorded; it was last seen then")


SENTENCES: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"duration of (?P<limit>\S+) s is over"), mark("its duration of {limit} s is over")),
    (
        re.compile(r"price (?P<value>\S+) is below the lower bound (?P<limit>\S+)"),
        mark("price {value} is below the lower bound {limit}"),
    ),
    (
        re.compile(r"price (?P<value>\S+) is above the upper bound (?P<limit>\S+)"),
        mark("price {value} is above the upper bound {limit}"),
    ),
    (
        re.compile(r"stop loss: P&L (?P<value>\S+) is at or below (?P<limit>\S+)"),
        mark("stop loss {limit} reached: {value}"),
    ),
    (
        re.compile(r"take profit: P&L (?P<value>\S+) is at or above (?P<limit>\S+)"),
        mark("take profit {limit} reached: {value}"),
    ),
    (re.compile("superseded by a new run"), mark("a new run took over")),
    (re.compile("the position was closed"), mark("its position was closed")),
    (re.compile("stopped on the web page"), mark("ended from its page")),
    (re.compile("the replay is over"), mark("the replay is over")),
)


def open_runs(runs: Iterable[Run]) -> list[Run]:
    """Return the runs that have no end."""
    return [run for run in runs if run.ended is None]


def is_present(run: Run, present: float) -> bool:
    """Return whether this run is the one that began at `present`."""
    return abs(run.began - present) < 1


def with_ends(runs: Sequence[Run], present: float | None, seen: Mapping[float, float]) -> list[Run]:
    """Return the runs, oldest first, with an end for each that does not go on.

    `present`: when the run began that was sampled last, None where none can go on; a later one that was never
    sampled has just begun. `seen`: begin → when another one was last sampled. One that never was has ended
    when the next one began, or at once.
    """
    ended: list[Run] = []
    for index, run in enumerate(runs):
        goes_on = present is not None and (
            is_present(run, present) or (run.began > present and run.began not in seen)
        )
        if run.ended is None and not goes_on:
            following = runs[index + 1].began if index + 1 < len(runs) else run.began
            run = run._replace(ended=seen.get(run.began, following), why=run.why or _(NOT_RECORDED))
        ended.append(run)
    return ended


def words(why: str) -> str:
    """Return why a run ended in the reader's language, where it is one of the bundled bot's sentences, which
    its database has without a code.
    """
    for pattern, sentence in SENTENCES:
        if match := pattern.fullmatch(why):
            return str(Text(sentence, **match.groupdict()))
    return why
