"""Which instances `watch` looks at each second: not those of which no time makes a condition."""

from __future__ import annotations

import time

import pytest

from manager.config.fleet import Alerts
from manager.fleet.instance import Instance
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.watch.alert_rules import Progress
from manager.monitor.watch.concerned import Concerned
from manager.monitor.watch.history import NO_HISTORY
from tests.web.served import a_bot

RULES = Alerts()


class Watched:
    """A fleet at which watch looks, and who is looked at then."""

    def __init__(self, *rows: InstanceStats) -> None:
        self.views = {row.id: row.view for row in rows}
        self.answers: dict[str, Progress] = {}
        self.concerned = Concerned()

    def observe_anew(self) -> None:
        """Have something new about each."""
        self.views = {instance: view._replace() for instance, view in self.views.items()}

    def look(self, now: float) -> list[str]:
        views = self.concerned.of(self.views, NO_HISTORY, self.answers, RULES, now)
        return list(views)


@pytest.fixture
def watched() -> Watched:
    return Watched(a_bot("one"), a_bot("refused", code="orders_refused"), a_bot("three"), a_bot("down", None))


def test_one_that_works_is_left_alone_until_something_is_new(watched: Watched) -> None:
    now = time.time()
    first = watched.look(now)
    assert first[:3] == ["one", "refused", "three"]
    watched.concerned.settle({"refused"})
    assert "one" not in watched.look(now + 1)
    assert "refused" in watched.look(now + 1)
    assert watched.concerned.calm == {"one", "three"}
    watched.answers = {"one": Progress(tick_age=900.0)}
    assert watched.look(now + 2)[:2] == ["one", "refused"], "in the order of before"
    watched.concerned.settle({"refused"})
    watched.views = dict(watched.views)  # observed again
    assert "one" not in watched.look(now + 3), "nothing is new about it"
    watched.observe_anew()
    assert watched.look(now + 4) == first
    assert watched.concerned.calm == frozenset()


def test_a_report_that_grows_old_is_noticed(watched: Watched) -> None:
    now = time.time()
    first = watched.look(now)
    watched.concerned.settle({"refused"})
    assert watched.look(now + 3600) == first, "in the order of before"


def test_one_that_is_silent_is_left_alone_and_not_taken_for_well(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: late)
    first = watched.look(late)
    watched.concerned.settle({"refused"})
    assert {"one", "three"}.isdisjoint(watched.look(late + 1))
    assert watched.concerned.calm == frozenset()
    watched.observe_anew()
    assert watched.look(late + 2) == first


def test_of_what_has_a_condition_or_is_not_well_nothing_is_settled(watched: Watched) -> None:
    watched.look(time.time())
    watched.concerned.settle({"one", "refused"})
    assert watched.concerned.calm == {"three"}


def test_memory_that_was_exceeded_is_not_settled() -> None:
    row = a_bot("one")
    supervisor = row.view.supervisor
    assert supervisor is not None
    exceeded = _with_last_exit(row.view, oom=True)
    watched = Watched(row._replace(view=exceeded))
    watched.look(time.time())
    watched.concerned.settle(set())
    assert watched.concerned.calm == frozenset()


def _with_last_exit(view: Instance, *, oom: bool) -> Instance:
    from manager.fleet.supervisor_state import LastExit

    assert view.supervisor is not None
    last = LastExit(137, "SIGKILL", oom, killed=False, at=time.time() + 86400, why="", stderr_tail=())
    return view._replace(supervisor=view.supervisor._replace(last_exit=last))
