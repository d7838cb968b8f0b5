"""`logs` of named instances that have containers needs the engine's list, and nothing else of the fleet."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.cli.commands import logs
from manager.engine import labels
from manager.engine.containers import observe
from manager.errors import OK, ManagerError
from manager.fleet import observe as observing
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.monitor.logs.source import LogQuery
from tests.builders import a_config, a_row, write_config
from tests.fakes.engine import FakeEngine

ROWS = (
    a_row(),
    a_row("gone_config_01", labels={labels.LOG_DIR: "logs/elsewhere"}),
    a_row("gone_config_02"),
)


class Engine(FakeEngine):
    def containers(self, *_args: Any, **_more: Any) -> list[dict[str, Any]]:
        return [*ROWS]

    def logs(self, *_args: Any, **_more: Any) -> Iterator[tuple[Any, bytes]]:
        yield "stdout", b"2026-11-30T10:00:00.000000000Z hello\n"


class Looking(Session):
    def engine(self, parallelism: int = 8) -> Any:
        return Engine()


@pytest.fixture(name="session")
def _session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "desk"
    write_config(project, a_config())
    (project / "config" / "active" / "other_01.json").write_text("{}")
    return Looking(project)


def line(**given: Any) -> Namespace:
    usual = {"config": [], "follow": False, "tail": 1, "since": None, "until": None, "grep": None}
    return Namespace(**usual | {"errors": False, "timestamps": False, "json": False, **given})


def test_the_last_lines_of_one_are_shown_without_the_state_of_the_fleet(
    session: Session, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(observing, "assemble", lambda *_args, **_more: pytest.fail("all was looked at"))
    [own, *_others] = observe(ROWS, "desk").containers
    assert logs.logs(session, line(ids=[own])) == OK
    assert capfdbinary.readouterr().out == b"hello\n"


def test_what_is_shown_of_each_is_what_the_fleet_has(session: Session) -> None:
    project, listed = session.project(), observe(ROWS, "desk")
    views = observing.assemble(project, listed, observing.NO_IMAGE).views
    named = [*listed.containers]
    shown = logs._selected(Selection(named), project, listed, LogQuery())
    assert [*shown] == [logs.Shown(one, views[one].log_dir, views[one].container) for one in named]
    assert "logs/elsewhere" in {one.log_dir for one in shown}


def test_one_without_a_container_is_looked_for_in_the_fleet(session: Session) -> None:
    project, none = session.project(), observe((), "desk")
    with pytest.raises(ManagerError, match="has no container, and no dated logs in"):
        logs._selected(Selection([*project.specs]), project, none, LogQuery())
