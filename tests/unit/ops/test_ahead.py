"""What a command does while it waits for the engine."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from manager.fleet import instances_json
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.execution import ahead
from manager.util import threads
from tests.builders import a_fleet

WITHIN_S = 60
SNAPSHOT: Any = object()


def test_the_pids_of_bots_that_run_are_found_before_one_that_is_restarted_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = Event()
    seen: list[object] = []

    def find(snapshot: object) -> None:
        seen.append(snapshot)
        looked.set()

    monkeypatch.setattr(instances_json, "find_pids", find)
    ahead.find_pids(SNAPSHOT, [Action("restart", "bp_sol_01", Text("requested"))])
    assert looked.wait(WITHIN_S)
    assert seen == [SNAPSHOT]


def test_where_nothing_is_started_no_pid_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "Deferred", lambda _work: pytest.fail("something was begun"))
    ahead.find_pids(SNAPSHOT, [Action("stop", "bp_sol_01", Text("requested"))])


class _Session:
    """A session that notes which thread connects to the engine: a second one would make another engine."""

    def __init__(self) -> None:
        self.connected_in: list[Thread] = []

    def engine(self, _parallelism: int) -> _Session:
        self.connected_in.append(current_thread())
        return self

    def info(self) -> dict[str, str]:
        return {"ID": "one"}


@pytest.mark.parametrize("ask", [ahead.description, ahead.modules_and_description])
def test_the_engine_is_asked_in_advance_by_the_connection_of_the_command(ask: Callable[..., Any]) -> None:
    session = _Session()
    assert ask(session, a_fleet())() == {"ID": "one"}
    assert session.connected_in == [current_thread()]
