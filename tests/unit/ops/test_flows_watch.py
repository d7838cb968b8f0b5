"""What `watch` takes for an engine's death, and what for a break in the connection."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator

import pytest

from manager.errors import ManagerError
from manager.fleet import event_spool, lock, supervisor_state
from manager.fleet.bot_report import Report
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.watch.change_detector import StateFiles
from manager.monitor.watch.loop import Watch
from manager.monitor.watch.observer import BEGINNING_S, BUSY_MOST_S, LOOK_S, FleetObserver
from manager.monitor.watch.shared_look import SharedLook
from tests.fakes.sandbox import BOTH, ETH, SOL, Sandbox


@pytest.fixture
def watching(sandbox: Sandbox) -> Iterator[FleetObserver]:
    """A watch that has seen both run for some time."""
    sandbox.transcript("up")
    sight = FleetObserver(Session(sandbox.folder))
    sight.look()
    sandbox.clock.sleep(20)
    sight.look()
    yield sight
    sight.close()


def away(sandbox: Sandbox, sight: FleetObserver, back: Callable[[], None]) -> list[str]:
    """Return who is to be started again after the engine has been away."""
    sandbox.engine.die()
    sight.wait(0)  # what it said before
    sight.wait(0)  # its end
    assert sight.why_away
    sandbox.clock.sleep(3)
    assert not sight.look()
    back()
    assert sight.look()
    return sight.still_down()


def test_it_looks_again_once_its_time_has_come_and_at_once_when_a_supervisor_says_something_new(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    watching.look_if_due()  # whose state files are seen for the first time
    watching.look()
    assert not watching.look_if_due()
    sandbox.clock.sleep(LOOK_S)
    assert watching.look_if_due()
    assert not watching.look_if_due()
    path = watching.fleet.instance_state_dir("bp_eth_02") / "supervisor.json"
    path.write_text(path.read_text() + " ")
    assert not watching.look_if_due()
    path.write_text(path.read_text().replace('"running"', '"restarting"'))
    assert watching.look_if_due()


def test_a_changed_restart_policy_is_told_once_also_to_who_reads_no_files_of_the_engine(
    sandbox: Sandbox, watching: FleetObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.engine.has_readable_files = False
    sandbox.engine.update(SOL, {"RestartPolicy": {"Name": "no"}})
    capsys.readouterr()
    watching.wait(0)
    assert watching.look()
    assert watching.look()
    assert capsys.readouterr().out == (
        "bp_sol_01: changed by `docker update`: restart policy; `manager up bp_sol_01` puts it back\n"
    )
    assert "updated (not with its restart policy" in sandbox.transcript("up bp_sol_01")
    capsys.readouterr()
    watching.wait(0)
    assert watching.look()
    assert capsys.readouterr().out == ""


def test_what_an_engine_that_was_killed_left_down_has_fallen(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    assert away(sandbox, watching, lambda: sandbox.engine.start_again(ETH)) == ["bp_eth_02"]
    assert watching.unsettled() == set(BOTH)


@pytest.mark.parametrize("command", ["stop bp_eth_02", "start bp_eth_02", "halt"])
def test_what_a_person_has_decided_since_is_not_started_again(
    sandbox: Sandbox, watching: FleetObserver, command: str
) -> None:
    assert away(sandbox, watching, lambda: sandbox.engine.start_again(ETH)) == ["bp_eth_02"]
    sandbox.transcript(command)
    watching.look()
    assert watching.still_down() == []


def test_what_is_down_after_a_break_of_the_connection_was_stopped_by_somebody(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    def back() -> None:
        sandbox.engine.come_back()
        sandbox.engine.set_state(ETH, "exited", 0)

    assert away(sandbox, watching, back) == []
    assert not watching.unsettled()


def test_what_was_started_again_since_it_was_stopped_has_fallen(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    sandbox.run("stop bp_eth_02")
    sandbox.run("start bp_eth_02")
    watching.wait(0)
    watching.look()
    assert away(sandbox, watching, lambda: sandbox.engine.start_again(ETH)) == ["bp_eth_02"]


@pytest.mark.parametrize("line", ['name = "another"\n', 'data_dir = "elsewhere"\n'])
def test_a_fleet_of_another_name_or_folder_is_another_watchs(
    sandbox: Sandbox, watching: FleetObserver, line: str
) -> None:
    settings = sandbox.folder / "config" / "fleet.toml"
    kept = [other for other in settings.read_text().splitlines() if other.split()[0] != line.split()[0]]
    settings.write_text("\n".join([line, *kept]))
    with pytest.raises(ManagerError, match="has changed: start `manager watch` again"):
        watching.look()


def test_a_signal_that_came_before_it_listened_ends_it(sandbox: Sandbox) -> None:
    """The engine side of `manager serve` watched on after its keeper had been killed in that moment."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    watch = Watch(Session(sandbox.folder), lambda _event: None, lambda _result: None)
    try:
        watch.run(lambda: True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_no_heartbeat_is_sent_while_the_engine_does_not_answer(sandbox: Sandbox) -> None:
    """The service that expects it alarms then: what is not seen is not well."""
    settings = sandbox.folder / "config" / "fleet.toml"
    settings.write_text(f'{settings.read_text()}\n[alerts]\nheartbeat = "https://beats.example/one"\n')
    sandbox.transcript("up")
    watch = Watch(Session(sandbox.folder), lambda _event: None, lambda _result: None)
    address = watch._heartbeat_address()
    assert address is not None
    assert address.url == "https://beats.example/one"
    sandbox.engine.die()
    watch._observer.look()
    assert watch._heartbeat_address() is None
    sandbox.engine.come_back()
    watch._observer.look()
    assert watch._heartbeat_address() == address
    for part in (watch._observer, watch._questions, watch._recorder, watch._disk_guard, watch._heartbeat):
        part.close()


def test_what_watch_has_stopped_is_not_told_as_stopped_by_a_user(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    watch = Watch(Session(sandbox.folder), lambda _event: None, lambda _result: None)
    why = Text("its folders take {size}, more than the limit of {limit}", size="5.2 MB", limit="5 MB")
    watch._stop_for_disk("bp_sol_01", why)
    for part in (watch._observer, watch._questions, watch._recorder, watch._disk_guard, watch._heartbeat):
        part.close()
    told = "stopped by `manager watch`: its folders take 5.2 MB, more than the limit of 5 MB"
    assert told in sandbox.transcript("ps")
    assert f"bp_sol_01: left alone: {told}; `manager start bp_sol_01` starts it" in sandbox.transcript("up")
    [line] = [
        event
        for line in watch._observer.fleet.event_spool_file.read_bytes().splitlines()
        if (event := event_spool.parsed(line)) and event.what == "stop"
    ]
    assert line.why == "`manager watch`: its folders take 5.2 MB, more than the limit of 5 MB"
    assert "`manager watch`" in sandbox.transcript("--lang zh-TW ps")
    sandbox.transcript("start bp_sol_01")
    sandbox.transcript("stop bp_sol_01")
    assert "stopped by a user" in sandbox.transcript("ps")


def test_what_somebody_was_stopping_as_the_engine_died_has_not_fallen(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    sandbox.engine.after("stop", sandbox.engine.die, of=ETH)
    sandbox.run("stop bp_eth_02")
    assert away(sandbox, watching, lambda: sandbox.engine.start_again(SOL)) == ["bp_sol_01"]


def test_a_manager_that_is_at_work_for_long_explains_nothing_any_more(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    with lock.held(watching.fleet.lock_file, "upgrade"):
        assert watching.is_busy()
        sandbox.clock.sleep(BUSY_MOST_S)
        assert not watching.is_busy()
    assert not watching.is_busy()
    with lock.held(watching.fleet.lock_file, "upgrade"):
        assert watching.is_busy(), "another one"


def test_a_supervisor_that_falls_silent_is_a_change_once(sandbox: Sandbox, watching: FleetObserver) -> None:
    folders = {"bp_eth_02": watching.fleet.instance_state_dir("bp_eth_02")}
    state = supervisor_state.read(folders["bp_eth_02"])
    assert state is not None
    files, now = StateFiles(), state.updated_uptime
    changes = [files.have_changed(folders, uptime) for uptime in (now, now, now + 9999, now + 9999, now)]
    assert changes == [True, False, True, False, True]


def test_a_bot_that_reports_another_condition_is_a_change_once(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    """A stop loss that is reached while its position cannot be closed yet is not to wait for the next look."""
    folder = watching.fleet.instance_state_dir("bp_eth_02")
    state = supervisor_state.read(folder)
    assert state is not None
    files, changes = StateFiles(), []
    for code, price in (("trading", 1), ("trading", 2), ("stopped_out", 3), ("stopped_out", 4), (None, 5)):
        report = {"price": str(price), "condition": code and {"code": code, "params": {}}}
        (folder / "report.json").write_text(json.dumps({"schema": 1, "run_ended": False, "report": report}))
        changes.append(files.have_changed({"bp_eth_02": folder}, state.updated_uptime))
    assert changes == [True, False, True, False, True]


def test_during_an_upgrade_the_export_tells_of_a_bot_that_dies_elsewhere(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    """Programs of the old system read nothing else, and the upgrade may take half an hour."""
    seen: list[dict[str, str]] = []

    def look() -> None:
        sandbox.engine.set_state(SOL, "exited", 137)
        assert watching.look()
        records = json.loads(watching.fleet.export_file.read_text())
        seen.append({instance: record["status"] for instance, record in records.items()})

    sandbox.engine.after("stop", look, of=ETH)
    sandbox.new_image()
    sandbox.run("upgrade bp_eth_02")
    assert seen == [{"bp_eth_02": "running", "bp_sol_01": "stopped"}]


def test_the_firewall_is_looked_after_in_a_long_command_past_its_beginning(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    assert watching.is_firewall_left_alone()
    with lock.held(watching.fleet.lock_file, "upgrade"):
        assert not watching.is_firewall_left_alone()
        sandbox.clock.sleep(BEGINNING_S)
        assert watching.is_firewall_left_alone()
    with lock.held(watching.fleet.lock_file, "down"):  # removes it at its end
        watching.is_busy()
        sandbox.clock.sleep(BEGINNING_S)
        assert not watching.is_firewall_left_alone()
    assert watching.is_firewall_left_alone()


def unsettled_during(sandbox: Sandbox, watching: FleetObserver, command: str) -> list[frozenset[str]]:
    """Return what is unsettled while a command has stopped the first and the second has died: at once, and
    three minutes later.
    """
    assert not watching.unsettled()
    unsettled: list[frozenset[str]] = []

    def look() -> None:
        sandbox.engine.set_state(SOL, "exited", 137)
        assert watching.look()
        unsettled.append(watching.unsettled())
        sandbox.clock.sleep(180)
        unsettled.append(watching.unsettled())

    sandbox.engine.after("stop", look, of=ETH)
    sandbox.run(command)
    return unsettled


def test_during_an_upgrade_only_what_it_is_at_work_on_may_be_down(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    """It may hold the lock for half an hour, in which others die as at any other time."""
    sandbox.new_image()
    assert unsettled_during(sandbox, watching, "upgrade bp_eth_02") == [{"bp_eth_02"}, set()]
    assert watching.look()
    assert not watching.unsettled()


def test_another_command_explains_what_has_just_gone_down_and_nothing_that_stays_down(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    assert unsettled_during(sandbox, watching, "restart bp_eth_02") == [set(BOTH), set()]


def test_what_a_command_exports_of_a_bot_that_it_has_just_started_stays(
    sandbox: Sandbox, watching: FleetObserver
) -> None:
    """Its look began before the bot's process was there, and ends after the command's own export."""
    export = sandbox.folder / "volumes" / "logs" / "instances.json"
    records = json.loads(export.read_text())
    records["bp_sol_01"] |= {"pid": 4711, "bot_pid": 4711}
    with lock.held(watching.fleet.lock_file, "restart"):
        export.write_text(json.dumps(records))
        assert watching.look()
    after = json.loads(export.read_text())
    assert (after["bp_sol_01"]["pid"], after["bp_sol_01"]["bot_pid"]) == (4711, 4711)


def test_the_page_hears_what_the_bots_have_answered_watch(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "manager.monitor.stats.reports.fetch_reports",
        lambda there, _within: dict.fromkeys(there, Report(open_orders=3)),
    )
    sandbox.transcript("up")
    share = SharedLook()
    watch = Watch(Session(sandbox.folder), lambda _event: None, lambda _result: None, share=share)
    try:
        watch._tick(sandbox.clock.time())
        assert watch._questions._asked is not None
        watch._questions._asked.result(60)
        watch._tick(sandbox.clock.time())
    finally:
        for part in (
            watch._observer,
            watch._questions,
            watch._recorder,
            watch._disk_guard,
            watch._heartbeat,
        ):
            part.close()
    containers = {view.container.id for view in watch._observer.snapshot.views.values() if view.container}
    assert containers
    assert share.answers.reports == dict.fromkeys(containers, Report(open_orders=3))


def test_an_alert_goes_to_the_address_that_is_set_now(sandbox: Sandbox) -> None:
    settings, variables = sandbox.folder / "config" / "fleet.toml", sandbox.folder / ".env"
    settings.write_text(f'{settings.read_text()}\n[alerts]\nurls = ["${{ALERT_URL}}"]\n')
    before = variables.read_text() if variables.exists() else ""
    variables.write_text(f"{before}\nALERT_URL=json://one.example\n")
    watch = Watch(Session(sandbox.folder), lambda _event: None, lambda _result: None)
    assert [address.url for address in watch._addresses()] == ["json://one.example"]
    variables.write_text(f"{before}\nALERT_URL=json://another.example\n")
    watch._observer.look()
    assert [address.url for address in watch._addresses()] == ["json://another.example"]
    for part in (watch._observer, watch._questions, watch._recorder, watch._disk_guard, watch._heartbeat):
        part.close()
