"""Which worker runs which test, so that waiting and computing overlap and nothing dear is made twice.

Tests that start programs, containers or a browser wait most of the time; the others compute. Some workers
take what computes, all others what waits: from beginning to end the cores then have something to do while
the rest is waited for. Whoever has no more of its own takes the others'.

What waits is handed out in this order: what shares something dear, then whole files whose programs need
little, then single tests on an engine. Those need the most, so that at the end, when nothing that computes is
left, they keep the cores busy, and no worker is left alone with a long file.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ENGINE = ("tests/upgrade/", "tests/faults/", "tests/integration/", "tests/deploy/")
"""Beginnings of the ids of tests that each make all that they need: they are handed out one by one."""
WAITING = (*ENGINE, "tests/contract/", "tests/bot/", "tests/web/", "tests/supervisor/")
TOGETHER = {
    "tests/web/test_page": "a browser",
    "tests/web/test_hostile": "a browser",
    "tests/web/test_accessible.py": "a browser",
    "tests/bot/test_page.py": "a browser",
    "tests/upgrade/": "a fleet of an earlier commit",
    "tests/faults/test_engine_": "an engine of the tests' own",
    "tests/faults/test_egress.py": "an engine of the tests' own",
    "tests/integration/test_bench.py": "a run of the benchmark",
    "tests/integration/test_fleet_at_rest.py": "a fleet that no test changes",
    "tests/integration/test_installed.py": "a wheel, and an environment that it is installed in",
    "tests/integration/test_main_job.py": "a fleet that is put right before each test",
    "tests/integration/test_figures.py": "a fleet whose figures are looked at",
    "tests/integration/test_watch.py": "a fleet that is watched",
    "tests/integration/test_backup.py": "a fleet that has traded",
    "tests/integration/test_reading.py": "a fleet whose logs are read",
    "tests/faults/test_never_two.py": "a fleet that is up before each test",
}
"""Beginnings of ids of tests that share something dear."""
FIRST = (
    *TOGETHER,
    "tests/contract/",
    "tests/bot/",
    "tests/web/",
    "tests/supervisor/",
    "tests/faults/",
    *(f"tests/integration/test_{name}.py" for name in ("conditions", "move", "hosts", "close", "halt")),
    "tests/integration/",
)
"""Beginnings of ids, in the order in which they are handed out: none of a minute comes last."""
MORE_THAN_CORES = 5
"""By as many workers `make test` has more than cores."""


def rank(nodeid: str) -> int:
    """Return a test's place in the order."""
    return next((place for place, start in enumerate(FIRST) if nodeid.startswith(start)), len(FIRST))


class Spread(LoadScopeScheduling):  # type: ignore[misc]
    """xdist's scheduler that hands out groups of tests, with groups and an order of our own."""

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False
        computing = max(1, (self.numnodes - MORE_THAN_CORES) // 2)
        self._computing = {f"gw{number}" for number in range(self.numnodes - computing, self.numnodes)}

    def _split_scope(self, nodeid: str) -> str:
        for start, shared in TOGETHER.items():
            if nodeid.startswith(start):
                return shared
        return nodeid if nodeid.startswith(ENGINE) else nodeid.partition("::")[0]

    def _assign_work_unit(self, node: Any) -> None:
        """Move the first group of the kind that this worker prefers to the head of the queue."""
        computes = node.gateway.id in self._computing
        for group, tests in self.workqueue.items():
            if computes != next(iter(tests)).startswith(WAITING):
                self.workqueue.move_to_end(group, last=False)
                break
        super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        """Hand out one test ahead, not two: a second one would wait behind the first while another worker
        has none.
        """
        if not self.workqueue or node.shutting_down or self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)
