"""Run the sections: one after the other within the time of a run, or at once where no figure counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench import shell
from bench.measure import Findings, Trouble
from bench.project import Workshop

SLOWER = 1.25
"""A machine that is so much slower than that of `least` still has a place for every section."""
AT_ONCE = 4
"""Sections, where no figure counts: most of them wait for what they have started."""


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


def run_at_once(works: Mapping[str, Callable[[], object]], begin: Sequence[str], findings: Findings) -> None:
    """Run the sections side by side, so that it is soon known whether every row can be measured. The figures
    mean nothing. Those of `begin`, which wait longest, are the first.
    """

    def section(name: str) -> None:
        with findings.row(name):
            works[name]()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            names = (*begin, *(name for name in works if name not in begin))
            for future in [pool.submit(section, name) for name in names]:
                future.result()
        except BaseException:  # Ctrl-C: what has not begun does not, and what runs ends before all is removed
            shell.ignore_interruptions()
            pool.shutdown(wait=False, cancel_futures=True)
            shell.interrupt_threads()
            raise
