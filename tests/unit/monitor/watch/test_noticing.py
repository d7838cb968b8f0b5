"""What happens to a bot is noticed within a second, by whichever way this machine offers.

What nothing happens to is not looked at.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.fleet import doing, supervisor_state
from manager.fleet.selection import EVERYTHING
from manager.fleet.session import Session
from manager.monitor.top.source import Source
from manager.monitor.watch import observer
from manager.monitor.watch.change_detector import SHOWN_WITHIN_S, StateFiles
from manager.monitor.watch.observer import LOOK_S, SETTLE_S, FleetObserver
from manager.util.folder_watch import _Inotify
from tests.builders import UPTIME, a_supervisor_file
from tests.fakes.sandbox import Sandbox

ETH, SOL = "bp_eth_02", "bp_sol_01"


@pytest.fixture(params=["the kernel tells", "it does not"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a change is noticed. Why the kernel may not tell, is in tests/unit/util/test_folder_watch.py."""
    if request.param == "it does not":
        monkeypatch.setattr(_Inotify, "opened", lambda: None)
    return str(request.param)


@pytest.fixture
def sight(way: str, sandbox: Sandbox) -> Iterator[FleetObserver]:
    """A watch that has seen all there is to see so far."""
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    yield sight
    sight.close()


def settled(sandbox: Sandbox, sight: FleetObserver) -> None:
    for _tick in range(5):
        sight.look_if_due()
        sandbox.clock.sleep(1)
        sight.wait(0)
    assert not sight.look_if_due()


def of_eth(sandbox: Sandbox) -> Path:
    return next(sandbox.folder.glob(f"**/state/{ETH}"))


def write_state(sandbox: Sandbox, **changes: Any) -> None:
    """Write as a supervisor does."""
    file = of_eth(sandbox) / supervisor_state.STATE_FILE
    new = file.with_suffix(".new")
    new.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    new.replace(file)


def dies(sandbox: Sandbox) -> None:
    write_state(sandbox, state="failed", bot_pid=None)


def is_another_process(sandbox: Sandbox) -> None:
    write_state(sandbox, bot_pid=4711)


def loses_its_exchange(sandbox: Sandbox) -> None:
    condition = {"code": "exchange_away", "params": {}, "since": 0}
    write_state(sandbox, health={"detail": None, "condition": condition})


def is_stopped_by_docker(sandbox: Sandbox) -> None:
    rows = sandbox.engine.containers([])
    sandbox.engine.stop(next(row["Id"] for row in rows if row["Names"] == [f"/desk-{ETH}"]), 1)


def is_stopped_by_a_person(sandbox: Sandbox) -> None:
    sandbox.run(f"stop {ETH}")


def is_started_by_a_person(sandbox: Sandbox) -> None:
    sandbox.run(f"start {ETH}")


def gets_a_new_container(sandbox: Sandbox) -> None:
    sandbox.config(ETH, 5001, daemon_config={"memory_limit_mb": 512})
    printed = sandbox.run(f"up {ETH}")
    assert any("recreated" in line for line in printed), printed


def loses_its_folder(sandbox: Sandbox) -> None:
    shutil.rmtree(of_eth(sandbox))


EVENTS: list[Callable[[Sandbox], None]] = [
    loses_its_exchange,
    is_another_process,
    dies,
    gets_a_new_container,
    is_stopped_by_docker,
    is_started_by_a_person,
    is_stopped_by_a_person,
    loses_its_folder,
]


def test_what_happens_to_a_bot_is_seen_by_the_next_tick(sandbox: Sandbox, sight: FleetObserver) -> None:
    for event in EVENTS:
        before = sight.snapshot.views[ETH]
        event(sandbox)
        sight.wait(0)
        if not sight.look_if_due():  # the engine's events come in bursts
            sandbox.clock.sleep(2 * SETTLE_S)
            assert sight.look_if_due(), event.__name__
        after = sight.snapshot.views[ETH]
        assert (after.status, after.container, doing.activity(after), after.supervisor) != (
            before.status,
            before.container,
            doing.activity(before),
            before.supervisor,
        ), event.__name__
        if event is not loses_its_folder:
            settled(sandbox, sight)


def test_what_happens_in_a_folder_that_was_made_anew_is_seen_too(
    sandbox: Sandbox, sight: FleetObserver
) -> None:
    content = (of_eth(sandbox) / supervisor_state.STATE_FILE).read_text()
    folder = of_eth(sandbox)
    shutil.rmtree(folder)
    assert sight.look_if_due()
    folder.mkdir()
    (folder / supervisor_state.STATE_FILE).write_text(content)
    assert sight.look_if_due()
    sandbox.clock.sleep(1)
    settled(sandbox, sight)
    dies(sandbox)
    assert sight.look_if_due()
    assert sight.snapshot.views[ETH].status.own_state == "failed"


def test_a_new_report_is_shown_by_the_next_look(
    way: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", lambda *_: {})
    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", lambda *_: {})
    source = Source(Session(sandbox.folder), EVERYTHING, 3.0)
    for number in range(3):
        now = sandbox.clock.time()
        file = of_eth(sandbox) / supervisor_state.REPORT_FILE
        report = {"contract": 2, "at": now, "pnl": f"{number}"}
        file.with_suffix(".new").write_text(json.dumps({"report": report, "written_at": now}))
        file.with_suffix(".new").replace(file)
        eth, _sol = source.look().rows
        assert eth.report.pnl == number
        sandbox.clock.sleep(3.0)


def test_only_the_files_in_whose_folders_something_was_written_are_looked_at(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    if sight._states._watch.due(sight._states._folders):
        pytest.skip("the kernel does not tell here")
    looked_at: list[Path] = []
    monkeypatch.setattr(supervisor_state, "read", looked_at.append)
    sight._states.have_changed(sight._folders, supervisor_state.uptime(), sight._idle)
    assert looked_at == []
    write_state(sandbox, updated_at=1.0)
    sight._states.have_changed(sight._folders, supervisor_state.uptime(), sight._idle)
    assert [folder.name for folder in looked_at] == [ETH]
    sight.close()


def test_a_supervisor_that_falls_silent_needs_no_event(sandbox: Sandbox) -> None:
    folders = {ETH: of_eth(sandbox)}
    state = supervisor_state.read(folders[ETH])
    assert state is not None
    files, late = StateFiles(), state.updated_uptime + 3 * state.health_interval + 6
    assert [files.have_changed(folders, at) for at in (state.updated_uptime, late - 2, late, late)] == [
        True,
        False,
        True,
        False,
    ]


def test_a_supervisor_that_writes_while_it_is_looked_at_has_not_fallen_silent(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time taken for a state of before this boot, it caused two observations of the whole fleet."""
    folders = {ETH: of_eth(sandbox)}
    state = supervisor_state.read(folders[ETH])
    assert state is not None
    files, before = StateFiles(), state.updated_uptime
    assert files.have_changed(folders, before)
    write_state(sandbox, updated_uptime=before + 30)
    monkeypatch.setattr(supervisor_state, "uptime", lambda: before + 30.01)
    assert not files.have_changed(folders, before + 29.99)
    assert not files.have_changed(folders, before + 31)
    monkeypatch.setattr(supervisor_state, "uptime", lambda: 5.0)
    assert files.have_changed(folders, 5.0), "the host was started again, and nobody has written since"


class Calls:
    """How often the engine lists its containers."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lists, whole = 0, sandbox.engine.containers

        def containers(*given: Any) -> Any:
            self.lists += 1
            return whole(*given)

        monkeypatch.setattr(sandbox.engine, "containers", containers)


def test_a_look_without_a_reason_lists_no_containers_and_shows_what_bots_report(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    sight.look()
    calls = Calls(sandbox, monkeypatch)
    write_report(sandbox, sandbox.clock.time() + LOOK_S, 7)
    sandbox.clock.sleep(LOOK_S)
    assert sight.look_if_due()
    assert calls.lists == 0
    report = sight.snapshot.views[ETH].report
    assert report is not None
    assert report.report.pnl == 7
    sandbox.clock.sleep(LOOK_S)
    assert sight.look_if_due()
    assert calls.lists, "now and then the engine is asked for them"
    sandbox.engine.die()
    sight._events = None  # of one that hangs nothing is heard
    sandbox.clock.sleep(LOOK_S)
    assert not sight.look_if_due()
    assert sight.why_away
    sight.close()


def write_report(sandbox: Sandbox, at: float, pnl: int) -> None:
    report = {"report": {"contract": 2, "at": at, "pnl": f"{pnl}"}, "written_at": at}
    (of_eth(sandbox) / supervisor_state.REPORT_FILE).write_text(json.dumps(report))


def edits_a_config(sandbox: Sandbox) -> None:
    sandbox.config(SOL, 5002, daemon_config={"memory_limit_mb": 512})


def edits_the_variables(sandbox: Sandbox) -> None:
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=other\n")


@pytest.mark.parametrize("reason", [edits_a_config, edits_the_variables], ids=lambda one: one.__name__)
def test_with_a_reason_all_is_observed(
    way: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, reason: Callable[[Sandbox], None]
) -> None:
    monkeypatch.setattr(observer, "FULL_EVERY_S", 3600.0)
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    reason(sandbox)
    sight.look_if_due()
    calls = Calls(sandbox, monkeypatch)
    sandbox.clock.sleep(LOOK_S)
    assert sight.look_if_due()
    assert calls.lists
    sandbox.clock.sleep(LOOK_S)
    before = calls.lists
    assert sight.look_if_due()
    assert calls.lists == before
    sight.close()


def test_all_is_observed_while_anything_has_no_supervisor(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the engine's own verdict counts, which causes no event."""
    monkeypatch.setattr(observer, "FULL_EVERY_S", 3600.0)
    sight = FleetObserver(Session(sandbox.folder))
    settled(sandbox, sight)
    views = {**sight.snapshot.views, ETH: sight.snapshot.views[ETH]._replace(supervisor=None)}
    sight.snapshot = sight.snapshot._replace(views=views)
    calls = Calls(sandbox, monkeypatch)
    sandbox.clock.sleep(LOOK_S)
    assert sight.look_if_due()
    assert calls.lists
    sight.close()


def engine_state(sight: FleetObserver) -> str:
    container = sight.snapshot.views[ETH].container
    assert container is not None
    return container.engine_state


@pytest.fixture
def stale(sandbox: Sandbox, sight: FleetObserver) -> Any:
    """The engine's list as it was before a container ended, of which it has told since."""
    before = sandbox.engine.containers([])
    is_stopped_by_docker(sandbox)
    return before


@pytest.mark.parametrize("way", ["the kernel tells"], indirect=True)
def test_after_an_event_that_the_list_does_not_know_yet_it_looks_again(
    sandbox: Sandbox, sight: FleetObserver, stale: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine tells of a container's end before its list does, and after a kill nothing more comes."""
    with monkeypatch.context() as late:
        late.setattr(sandbox.engine, "containers", lambda *_: stale)
        for _look in range(3):  # an engine that is busy takes seconds
            sight.wait(0)
            sandbox.clock.sleep(2 * SETTLE_S)
            assert sight.look_if_due()
            assert engine_state(sight) == "running"
    sandbox.clock.sleep(2 * SETTLE_S)
    assert sight.look_if_due()
    assert engine_state(sight) == "exited"
    sandbox.clock.sleep(2 * SETTLE_S)
    assert not sight.look_if_due()


@pytest.mark.parametrize("way", ["the kernel tells"], indirect=True)
def test_a_list_that_stays_behind_an_event_is_not_waited_for_for_ever(
    sandbox: Sandbox, sight: FleetObserver, stale: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.engine, "containers", lambda *_: stale)
    sight.wait(0)
    sandbox.clock.sleep(SHOWN_WITHIN_S + 1)
    assert sight.look_if_due()
    sandbox.clock.sleep(2 * SETTLE_S)
    assert not sight.look_if_due()


def test_a_state_without_a_container_is_seen_when_it_is_time_and_not_forgotten(
    way: str, tmp_path: Path
) -> None:
    """Another engine may have the container: who has none here is looked for every few seconds."""
    files, folders = StateFiles(), {ETH: tmp_path / ETH, SOL: tmp_path / SOL}
    for folder in folders.values():
        folder.mkdir()
    both = frozenset(folders)
    assert files.have_changed(folders, UPTIME, both)
    files._look_for_all_at = math.inf
    assert not files.have_changed(folders, UPTIME, both)
    (folders[ETH] / supervisor_state.STATE_FILE).write_text(json.dumps(a_supervisor_file()))
    assert not files.have_changed(folders, UPTIME, both), "it is not time"
    files._look_for_all_at = 0.0
    assert files.have_changed(folders, UPTIME, both)
    state = files.latest()[ETH]
    assert state is not None
    assert state.state == "running"
