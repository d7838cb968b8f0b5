"""Hold samples, comparisons and tables: what rows give and what the report shows."""

from __future__ import annotations

import math
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.shell import raise_if_interrupted

Contender = Callable[[], float]
"""Does the work once and returns the seconds it took, without preparing and tidying up."""


class Skipped(Exception):
    """Signal that a row cannot be measured here, and why."""


@dataclass(frozen=True)
class Samples:
    """Hold seconds, or what else was measured, once a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class Comparison:
    """Hold one row of the main table. `limit` bounds ours ÷ theirs."""

    work: str
    size: int | None
    ours: Samples
    against: str
    theirs: Samples
    limit: float | None = None

    @property
    def result(self) -> float:
        return self.ours.median / self.theirs.median

    @property
    def is_met(self) -> bool | None:
        return None if self.limit is None else self.result <= self.limit


@dataclass(frozen=True)
class Table:
    """Hold a table of its own, with words before it."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str = ""


@dataclass(frozen=True)
class Trouble:
    """Hold a row that is not in the report."""

    row: str
    kind: str
    why: str


@dataclass
class Findings:
    """Hold everything that was measured so far."""

    comparisons: list[Comparison] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @contextmanager
    def row(self, name: str) -> Iterator[None]:
        """Report a row that fails, and let the others go on."""
        raise_if_interrupted(always=True)  # nothing of a row that ends tidies up by beginning another
        started = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            yield
        except Skipped as why:
            self.troubles.append(Trouble(name, "skipped", str(why)))
            print(f"{name}: skipped: {why}", file=sys.stderr, flush=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rows can be measured
            self.troubles.append(Trouble(name, "failed", f"{type(error).__name__}: {error}"))
            traceback.print_exc()
        else:
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def alternating(
    contenders: Mapping[str, Contender], rounds: int, no_round_after: float = math.inf, least: int = 1
) -> dict[str, Samples]:
    """Run every contender once a round, each round in the other order, so that a drift of the machine favours
    none. Once there are the `least`, none begins of which most would be after a moment of the monotonic
    clock.
    """
    took = 0.0
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        began = time.monotonic()
        if number >= least and began + took / 2 > no_round_after:
            break
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            seconds[name].append(contenders[name]())
        took = time.monotonic() - began
    return {name: Samples(tuple(values)) for name, values in seconds.items()}
