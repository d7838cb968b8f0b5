"""When the firewall's rules are looked at: what allows it is asked only where it would be done."""

from __future__ import annotations

import time

import pytest

from manager.errors import EngineError
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.watch.egress_keeper import EVERY_S, EgressKeeper
from manager.ops.egress import egress
from tests.fakes.sandbox import Sandbox


def a_project(sandbox: Sandbox, *, is_limited: bool) -> Project:
    if is_limited:
        settings = sandbox.folder / "config" / "fleet.toml"
        settings.write_text(f"{settings.read_text()}[container]\negress = true\n")
    return Session(sandbox.folder).project()


def test_a_fleet_without_rules_is_settled_once(sandbox: Sandbox) -> None:
    keeper, project = EgressKeeper(), a_project(sandbox, is_limited=False)
    assert keeper.is_due(project.fleet), "an alert of an earlier watch may be open"
    keeper.look_if_due(sandbox.engine, project, ())
    assert not keeper.is_due(project.fleet)
    keeper._why = Text("its rules are gone")
    assert keeper.is_due(project.fleet), "they were turned off since"
    keeper.look_if_due(sandbox.engine, project, ())
    assert not keeper.conditions()


def test_rules_are_looked_at_every_minute(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    settled_at: list[float] = []

    def settle(*_: object) -> bool:
        settled_at.append(time.monotonic())
        raise EngineError("no engine")

    monkeypatch.setattr(egress, "settle", settle)
    keeper, project = EgressKeeper(), a_project(sandbox, is_limited=True)
    for _second in range(150):
        is_due, before = keeper.is_due(project.fleet), len(settled_at)
        keeper.look_if_due(sandbox.engine, project, ())
        assert len(settled_at) - before == is_due
        sandbox.clock.sleep(1.0)
    assert [at - settled_at[0] for at in settled_at] == [0.0, EVERY_S, 2 * EVERY_S]
