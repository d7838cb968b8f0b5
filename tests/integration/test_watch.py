"""`manager watch`, `alert test`, `install-service`, on a real engine and with a real receiver of alerts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.monitor.watch import service
from tests.fleet import Project, a_project, eventually
from tests.receiver import SECRETS, Receiver, a_receiver, alerting, watching

pytestmark = pytest.mark.engine


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as new_receiver:
        yield new_receiver


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    with a_project(tmp_path_factory.mktemp("watched") / "project", bot_image) as made:
        made.add("bp_sol_01", 0, daemon_config={"max_restart_attempts": 10})
        made.add("bp_eth_01", 1)
        yield made


@pytest.fixture
def fleet(shared: Project, receiver: Receiver) -> Project:
    """Two instances, up and healthy, whatever an earlier test has done to them, whose alerts go to the
    receiver.
    """
    alerting(shared, receiver)
    (shared.folder / "volumes" / "state" / "watch.json").unlink(missing_ok=True)
    shared.manager("up", "--wait", "bp_sol_01", "bp_eth_01")
    return shared


def pid_of(fleet: Project, instance: str) -> int:
    return int(fleet.instances()[instance]["bot_pid"])


def until_fresh(fleet: Project, instance: str, old: int) -> None:
    """Waits until the export names a new process, with nobody looking."""
    eventually(lambda: pid_of(fleet, instance) not in (0, old), what="a fresh pid")


def open_faults(fleet: Project) -> list[list[object]]:
    state = json.loads((fleet.folder / "volumes" / "state" / "watch.json").read_text())
    return [alert[:2] for alert in state["open"]]


def is_all_sent(fleet: Project) -> bool:
    state = json.loads((fleet.folder / "volumes" / "state" / "watch.json").read_text())
    return bool(state["open"]) and not state["waiting"]


def test_it_keeps_the_export_fresh_and_says_each_thing_once(fleet: Project, receiver: Receiver) -> None:
    with watching(fleet) as watch:
        eventually(lambda: "watching 2 instances" in watch.text, what="it watches")
        for _time in range(2):
            before = pid_of(fleet, "bp_sol_01")
            os.kill(before, signal.SIGKILL)
            until_fresh(fleet, "bp_sol_01", before)
        loop = eventually(lambda: receiver.text_with("bp_sol_01 keeps crashing: 2 restarts"), what="an alert")
        assert loop.startswith(f"botfleet {fleet.name}: bp_sol_01 keeps crashing")
        again = fleet.manager("watch", code=7).err
        assert f"`manager watch` (pid {watch.process.pid}" in again
        assert "already watches this fleet" in again
        eventually(lambda: is_all_sent(fleet), what="it has noted what it said")
        watch.process.kill()
        watch.process.wait()
    eventually(
        lambda: open_faults(fleet) == [["bp_sol_01", "restarting"]], what="what was said is remembered"
    )
    count = len(receiver.texts)
    fleet.docker("rm", "-f", fleet.container("bp_eth_01"))
    with watching(fleet):
        eventually(lambda: receiver.text_with("bp_eth_01 has no container any more"), what="missing")
        fleet.manager("up")
        eventually(lambda: receiver.text_with("bp_eth_01 is running again, after"), what="back again")
        assert len([text for text in receiver.texts[count:] if "bp_sol_01" in text]) == 0
    assert set(receiver.posts[0]) >= {"title", "message", "type"}


def test_a_persons_word_is_no_alert(fleet: Project, receiver: Receiver) -> None:
    with watching(fleet) as watch:
        fleet.manager("stop", "bp_sol_01")
        eventually(lambda: fleet.instances()["bp_sol_01"]["status"] == "stopped", what="the export says so")
        fleet.manager("restart", "bp_eth_01", "--wait")
        fleet.manager("down")
        fleet.manager("up", "bp_sol_01", "--wait")
        fleet.docker("stop", fleet.container("bp_sol_01"))
        eventually(
            lambda: receiver.text_with(
                "bp_sol_01 was stopped, but not by the manager", "`manager start bp_sol_01`"
            ),
            what="what no manager did",
        )
        assert len(receiver.texts) == 1, receiver.texts
        assert fleet.states() == {"bp_sol_01": "stopped", "bp_eth_01": "missing"}
        assert watch.process.poll() is None


def test_a_bot_that_takes_too_much_disk_is_stopped_and_the_others_go_on(
    fleet: Project, receiver: Receiver
) -> None:
    with (fleet.folder / "config" / "fleet.toml").open("a") as stream:
        stream.write("[disk]\ninstance_mb = 5\n")
    cache = fleet.folder / "volumes" / "database" / "bp_sol_01" / "cache"
    cache.write_bytes(os.urandom(6_000_000))
    with watching(fleet):
        eventually(
            lambda: receiver.text_with("bp_sol_01 was stopped, because its folders take 6", "limit of 5 MB"),
            what="the stop",
        )
        assert fleet.states() == {"bp_sol_01": "stopped", "bp_eth_01": "running"}
        fleet.manager("up")
        assert fleet.states()["bp_sol_01"] == "stopped", "until a person starts it"
    rows = {row["id"]: row["folders_bytes"] for row in fleet.manager("stats", "--json").json}
    assert rows["bp_sol_01"] > 6_000_000 > rows["bp_eth_01"] > 0
    cache.unlink()


def test_folders_that_grow_are_told_of_and_nothing_is_stopped(fleet: Project, receiver: Receiver) -> None:
    """The measurements outlive a `watch`: the second one compares with those of the first."""
    with (fleet.folder / "config" / "fleet.toml").open("a") as stream:
        stream.write("[disk]\ngrowth_mb = 3\n")
    measured = fleet.folder / "volumes" / "state" / "disk.json"
    measured.unlink(missing_ok=True)
    with watching(fleet):
        eventually(measured.exists, what="the first measurement")
    cache = fleet.folder / "volumes" / "database" / "bp_eth_01" / "cache"
    cache.write_bytes(os.urandom(4_000_000))
    with watching(fleet):
        eventually(
            lambda: receiver.text_with("bp_eth_01: its folders have grown by 4", "within"), what="the alert"
        )
    assert not receiver.text_with("bp_sol_01: its folders")
    assert fleet.states() == {"bp_sol_01": "running", "bp_eth_01": "running"}
    cache.unlink()


def test_a_broken_receiver_is_tried_again_and_the_daily_report_comes(
    fleet: Project, receiver: Receiver
) -> None:
    alerting(fleet, receiver, digest_at='"00:00"')
    receiver.status = 503
    state = fleet.folder / "volumes" / "state" / "watch.json"
    state.write_text('{"schema": 1, "open": [], "instances": {}, "digest": "2025-11-30"}')
    with watching(fleet, "--lang", "zh-TW") as watch:
        eventually(lambda: "json://127.0.0.1" in watch.text and "HTTP 503" in watch.text, what="it is said")
        receiver.status = 200
        report = eventually(lambda: receiver.text_with("每日報告"), what="the report")
        assert report.startswith(f"botfleet {fleet.name}：")
    assert json.loads(state.read_text())["digest"] > "2025-11-30"


def test_alert_test_says_of_each_address_whether_it_went_out(project: Project, receiver: Receiver) -> None:
    assert "names no address" in project.manager("alert", "test", code=2).err
    alerting(project, receiver, urls='["${ALERT_URL}", "${OTHER_URL}", "${NO_URL}"]')
    with (project.folder / ".env").open("a") as stream:
        stream.write("OTHER_URL=json://s3cret-user:s3cret-word@127.0.0.1:9/s3cret-path\nNO_URL=s3cret-word\n")
    done = project.manager("alert", "test", code=1)
    assert done.out.splitlines() == [
        "json://127.0.0.1: sent",
        "json://127.0.0.1: NOT sent",
        "…: NOT sent (apprise does not support this kind of address)",
    ]
    assert receiver.texts == [f"botfleet {project.name}: this is a test; alerts arrive here"]
    receiver.status = 401
    rows = project.manager("alert", "test", "--json", code=1)
    assert [(row["sent"], row["why"]) for row in rows.json][:1] == [(False, "HTTP 401")]
    shown = done.out + done.err + rows.out + rows.err
    assert not any(secret in shown for secret in SECRETS)


def test_the_service_is_shown_and_not_installed_where_no_systemd_runs(project: Project) -> None:
    unit = project.manager("install-service", "--print").out
    assert f'--project-dir "{project.folder}" watch' in unit
    if not service.RUNNING_SYSTEMD.is_dir():
        assert "this machine does not run systemd" in project.manager("install-service", code=1).err
        assert not Path("/etc/systemd/system", f"botfleet-watch-{project.name}.service").exists()
    assert "nothing to do" in project.manager("install-service", "--remove").out
