"""Where nothing tells of a change, only the engine's list is compared now and then; more where it differs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from manager.fleet.session import Session
from manager.monitor.watch import observer
from manager.monitor.watch.observer import LOOK_S, FleetObserver
from tests.fakes.sandbox import Sandbox
from tests.unit.monitor.watch.test_noticing import ETH, Calls, settled, write_report


def test_each_report_is_seen_without_a_list(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "LIST_EVERY_S", 3600.0)
    monkeypatch.setattr(observer, "FULL_EVERY_S", 3600.0)
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    calls = Calls(sandbox, monkeypatch)
    for pnl in range(3):
        sandbox.clock.after(1.0, partial(write_report, sandbox, sandbox.clock.time(), pnl))
        sandbox.clock.sleep(LOOK_S)
        assert sight.look_if_due()
        report = sight.snapshot.views[ETH].report
        assert report is not None
        assert report.report.pnl == pnl
    assert calls.lists == 0
    sight.close()


def gets_a_new_image(sandbox: Sandbox) -> None:
    sandbox.new_image()


def is_unhealthy_to_the_engine(sandbox: Sandbox) -> None:
    sandbox.engine.find(f"desk-{ETH}").health = "unhealthy"


def is_as_it_was(_sandbox: Sandbox) -> None:
    pass


@pytest.mark.parametrize(
    "happens", [gets_a_new_image, is_unhealthy_to_the_engine, is_as_it_was], ids=lambda one: one.__name__
)
def test_all_is_observed_if_the_engine_tells_of_anything_without_an_event(
    sandbox: Sandbox, happens: Callable[[Sandbox], None]
) -> None:
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    sandbox.clock.sleep(observer.LIST_EVERY_S)
    assert sight.look_if_due(), "with ages of more than a minute, which are no news"
    before = sight.snapshot.observed
    happens(sandbox)
    for _look in range(2):
        sandbox.clock.sleep(LOOK_S)
        assert sight.look_if_due()
    assert (sight.snapshot.observed is before) == (happens is is_as_it_was)
    sandbox.clock.sleep(observer.FULL_EVERY_S)
    assert sight.look_if_due()
    assert sight.snapshot.observed is not before, "now and then all is observed"
    sight.close()


def test_how_long_one_is_silent_is_told_anew(sandbox: Sandbox) -> None:
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    sandbox.bots.living.pop(f"desk-{ETH}")
    told = set()
    for _minute in range(6):
        sandbox.clock.sleep(60.0)
        sight.look_if_due()
        told.add(f"{sight.snapshot.views[ETH].status.why}")
    assert len(told) == 6, "at first it is not late yet"
    sight.close()
