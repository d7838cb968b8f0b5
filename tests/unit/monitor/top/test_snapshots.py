"""The fleet is observed in full only where something may have changed, and nothing that changes is missed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.errors import EngineUnreachable
from manager.fleet.session import Session
from manager.fleet.supervisor_state import SupervisorState
from manager.monitor.top.snapshots import FULL_EVERY_S, SnapshotReader
from tests.fakes.containers import KILLED
from tests.fakes.sandbox import Sandbox


class Observed:
    """A reader on a fleet that is up, and how often it has asked for the list of containers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.reader = SnapshotReader(Session(sandbox.folder))
        self.lists = 0

    def list(self, *given: Any) -> Any:
        self.lists += 1
        return type(self.sandbox.engine).containers(self.sandbox.engine, *given)

    def is_full(self) -> bool:
        """Look again; return whether the containers were listed."""
        before = self.lists
        self.reader.read()
        return self.lists > before


@pytest.fixture
def observed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observed]:
    new_observed = Observed(sandbox)
    assert new_observed.reader.read().views.keys() == {"bp_eth_02", "bp_sol_01"}
    monkeypatch.setattr(sandbox.engine, "containers", new_observed.list)
    yield new_observed
    new_observed.reader.close()


def test_what_stays_is_not_observed_again(observed: Observed) -> None:
    first = observed.reader.read()
    assert observed.lists == 0
    assert observed.reader.read() is first


def test_a_list_that_is_behind_an_event_is_asked_for_again(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine_state() -> str:
        container = observed.reader.read().views["bp_eth_02"].container
        assert container is not None
        return container.engine_state

    stale = observed.sandbox.engine.containers([])
    started_by_another(observed.sandbox)
    with monkeypatch.context() as late:
        late.setattr(observed.sandbox.engine, "containers", lambda *_: stale)
        assert [engine_state(), engine_state()] == ["running", "running"]
    assert observed.is_full()
    assert engine_state() == "exited"
    assert not observed.is_full()


def stopped(sandbox: Sandbox) -> None:
    sandbox.run("stop bp_eth_02")


def started_by_another(sandbox: Sandbox) -> None:
    [container] = [
        container for container in sandbox.engine.containers([]) if container["Names"] == ["/desk-bp_eth_02"]
    ]
    sandbox.engine.stop(container["Id"], 1)


def edited(sandbox: Sandbox) -> None:
    sandbox.config("bp_eth_02", 5002, daemon_config={"memory_limit_mb": 512})


def added(sandbox: Sandbox) -> None:
    sandbox.config("bp_new_03", 5003)


def environment(sandbox: Sandbox) -> None:
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=other\n")


def settings(sandbox: Sandbox) -> None:
    file = sandbox.folder / "config" / "fleet.toml"
    file.write_text(file.read_text() + "parallelism = 3\n")


def state_file(sandbox: Sandbox) -> Path:
    return next(sandbox.folder.glob("**/state/bp_eth_02/supervisor.json"))


def failed(sandbox: Sandbox) -> None:
    state = json.loads(state_file(sandbox).read_text())
    state_file(sandbox).write_text(json.dumps({**state, "state": "failed", "bot_pid": None}))


def time_passed(sandbox: Sandbox) -> None:
    sandbox.clock.sleep(FULL_EVERY_S)


@pytest.mark.parametrize(
    "change",
    [stopped, started_by_another, edited, added, environment, settings, failed, time_passed],
    ids=lambda change: change.__name__,
)
def test_what_changes_is_observed_at_once(observed: Observed, change: Callable[[Sandbox], None]) -> None:
    assert not observed.is_full()
    change(observed.sandbox)
    assert observed.is_full()


def probed(observed: Observed) -> SupervisorState:
    """Probe a bot once more, and return what is seen of its supervisor."""
    state = json.loads(state_file(observed.sandbox).read_text())
    state["health"] = {**state["health"], "checked_at": observed.sandbox.clock.time()}
    state_file(observed.sandbox).write_text(json.dumps({**state, "updated_at": state["updated_at"] + 30}))
    assert not observed.is_full()
    supervisor = observed.reader.read().views["bp_eth_02"].supervisor
    assert supervisor is not None
    return supervisor


def test_a_probe_is_no_change_and_makes_no_other_instance(observed: Observed) -> None:
    before = probed(observed)
    assert probed(observed) is before


def test_a_probe_after_a_report_of_trouble_is_known_with_its_time(observed: Observed) -> None:
    """It may say that the trouble is over."""
    now = observed.sandbox.clock.time()
    own = {"contract": 2, "at": now, "condition": {"code": "exchange_away", "params": {}, "since": now}}
    content = {"report": own, "written_at": now, "read_at": now}
    (state_file(observed.sandbox).parent / "report.json").write_text(json.dumps(content))
    observed.reader.read()
    after = probed(observed)
    assert after.updated_at == json.loads(state_file(observed.sandbox).read_text())["updated_at"]


def test_when_one_was_killed_its_last_beat_is_its_end(observed: Observed) -> None:
    probed(observed)
    probed(observed)
    last = json.loads(state_file(observed.sandbox).read_text())["updated_at"]
    container = observed.sandbox.engine.find("desk-bp_eth_02")
    container.program.kill(container)
    container.end(KILLED)
    assert observed.is_full()
    for _look in range(2):
        supervisor = observed.reader.read().views["bp_eth_02"].supervisor
        assert supervisor is not None
        assert supervisor.updated_at == last


def test_an_engine_that_goes_is_said_at_once_and_found_again(observed: Observed) -> None:
    observed.sandbox.engine.die()
    for _look in range(2):
        with pytest.raises(EngineUnreachable):
            observed.reader.read()
    observed.sandbox.engine.come_back()
    assert observed.is_full()
    assert not observed.is_full()
