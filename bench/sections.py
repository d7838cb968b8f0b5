"""Run the sections within the time of a run: none takes what those after it need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from bench.measure import Findings, Trouble
from bench.project import Workshop

SLOWER = 1.25
"""A machine that is so much slower than that of `least` still has a place for every section."""


def run(
    works: Mapping[str, Callable[[], object]], least: Mapping[str, float], shop: Workshop, findings: Findings
) -> None:
    """Run each section that can end before `shop.ends_at`; the others are named as left out.

    `least`: the seconds that a section takes with one round. While a section runs, `shop.ends_at` is when
    it has to end so that the later ones have theirs: its rows take as many rounds as fit.
    """
    ends_at, needed = shop.ends_at, sum(least[name] for name in works)
    for name, work in works.items():
        left = ends_at - time.monotonic()
        needed -= least[name]
        if left < least[name]:
            why = f"it takes {least[name]:g} s or more, and {max(left, 0):.0f} s were left"
            findings.troubles.append(Trouble(name, "left out", why))
            continue
        shop.ends_at = ends_at - SLOWER * needed
        with findings.row(name):
            work()
