"""An update of code and image under a fleet that runs: what the new manager leaves alone, and what it still
knows.

Each test works on instances of its own and holds that the others are untouched. The last ones are of the
whole fleet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ports
from tests.fake_exchange.server import FakeExchange
from tests.fleet import a_project, eventually
from tests.receiver import watching
from tests.upgrade.old_fleet import (
    MESH,
    MESH_BETWEEN,
    ORDERS_OF_MESH,
    PATIENT,
    REFUSED_BY_THE_BOT,
    REMEMBERED,
    OldFleet,
    add_failing,
    trade_at,
    until_failed,
    until_orders,
)

pytestmark = pytest.mark.engine

EXPECTED = {
    "paper_01": "running",
    "live_01": "running",
    "live_halted": "stopped",
    "paper_stopped": "stopped",
    "failed_01": "failed",
    "put_back": "running",
    "upgraded_01": "running",
    "port_by_us": "running",
}
BEFORE_MB, AFTER_MB = 256, 300
VOLATILE = {"since", "health", "note"}
"""Of a row of `ps --json`: what is another word a moment later."""


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory,
    old_code: Path,
    old_image: str,
    new_image: str,
    fake: FakeExchange,
) -> Iterator[OldFleet]:
    """Every kind of instance, made by the earlier commit; then the image is this tree's."""
    folder = tmp_path_factory.mktemp("update") / "project"
    with a_project(folder, old_image) as project:
        trade_at(project, fake)
        made = OldFleet(project, old_code, fake)
        _make(made)
        eventually(lambda: _states(made.old("ps", "--json").json) == EXPECTED, what=f"{EXPECTED}")
        made.use_image(new_image)
        yield made


def _make(fleet: OldFleet) -> None:
    project = fleet.project
    for port, name in enumerate(("paper_stopped", "put_back", "upgraded_01")):
        project.add(name, port, daemon_config=PATIENT)
    project.add("live_01", 4, mode="live", strategy_config=MESH, daemon_config=PATIENT)
    project.add("live_halted", 5, mode="live", strategy_config=MESH_BETWEEN, daemon_config=PATIENT)
    add_failing(project, "failed_01", 6)
    project.add("paper_01", None, daemon_config=PATIENT)
    project.add("port_by_us", None, daemon_config=PATIENT)
    with ports.lowest_free():
        fleet.old("up")
    running = {name: "running" for name in EXPECTED if name != "failed_01"}
    fleet.old("up", "--wait", *running, code=None)  # a slow bot that begins again has failed in its eyes
    eventually(
        lambda: running.items() <= _states(fleet.old("ps", "--json").json).items(), what="all others run"
    )
    until_orders(fleet.fake, 2)
    until_failed(project, "failed_01")
    fleet.old("stop", "paper_stopped")
    fleet.old("halt", "live_halted")
    project.change("upgraded_01", daemon_config={"memory_limit_mb": AFTER_MB})
    fleet.old("upgrade", "--ready", "0.1", "upgraded_01")
    project.change("put_back", metadata=REFUSED_BY_THE_BOT)
    fleet.old("upgrade", "--ready", "0.1", "put_back", code=1)


@pytest.fixture(autouse=True)
def nobody_takes_its_ports(fleet: OldFleet) -> Iterator[None]:
    """What is halted, taken down or recreated lets go of its port, and another test's manager that looks for
    the lowest free one found it.
    """
    with ports.lowest_free():
        yield


def _rows(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: {key: row[key] for key in row.keys() - VOLATILE} for row in rows}


def _states(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["state"] for row in rows}


def _memory_mb(facts: dict[str, Any]) -> int:
    return int(facts["HostConfig"]["Memory"]) >> 20


def _names(variables: Iterable[str]) -> set[str]:
    return {variable.partition("=")[0] for variable in variables}


def test_the_new_manager_sees_what_the_old_one_sees(fleet: OldFleet) -> None:
    with fleet.untouched():
        old, new = (_rows(manager("ps", "--json").json) for manager in (fleet.old, fleet.new))
        for instance_id, row in old.items():
            assert {key: new[instance_id].get(key) for key in row} == row
        assert {instance_id for instance_id, row in new.items() if row["halted"]} == {"live_halted"}
        exported = fleet.project.instances()
        fleet.new("export")
        assert fleet.project.instances() == exported
        assert {record["pid"] > 0 for record in exported.values()} == {True, False}
        fleet.new("config", "--check")
        fleet.new("list")
        assert fleet.new("status", "live_01").json["state"] == "running"
        assert (
            fleet.new("upgrade", "--dry-run", "put_back").out
            == "canary: put_back: config changed, new image\n"
        )
        assert "upgraded_01: roll back: requested" in fleet.new("rollback", "--dry-run").out


def test_up_touches_nothing_and_forgets_nothing(fleet: OldFleet) -> None:
    with fleet.untouched():
        # What `make up` calls; it ends with 1, since one has failed.
        for output in (fleet.new("up", "--wait", code=1).out, fleet.new("up").out):
            assert "failed_01: left alone: failed (exit code 2" in output
            assert "live_halted: left alone: halted" in output
            assert "paper_stopped: left alone: stopped by a user" in output
            assert "put_back: left alone: rolled back (" in output
            assert "upgrades them: live_01, paper_01, port_by_us, upgraded_01" in output
            assert "recreated" not in output
        assert len(fleet.fake.book.own_open()) == ORDERS_OF_MESH


def test_doctor_says_what_each_container_lacks_until_it_is_upgraded(fleet: OldFleet) -> None:
    with fleet.untouched():
        findings = {finding["text"]: finding for finding in fleet.new("doctor", "--json").json}
        older = [finding for finding in findings.values() if finding["check"] == "older-supervisor"]
        of_live, of_paper = sorted(older, key=lambda finding: "live_01" not in finding["text"])
        assert of_live["text"].startswith("live_01, live_halted: older supervisor: ")
        assert of_paper["text"].startswith(
            "failed_01, paper_01, paper_stopped, port_by_us, put_back, upgraded_01: older supervisor: "
        )
        for words in ("does not check for a halt itself", "while the exchange is away", "last report", "pid"):
            assert words in of_live["text"]
            assert words in of_paper["text"]
        assert "does not cancel the open orders" in of_live["text"]
        assert "does not cancel the open orders" not in of_paper["text"]
        assert {finding["remedy"] for finding in older} == {"run `manager upgrade`"}


def test_watch_leaves_all_alone(fleet: OldFleet) -> None:
    with fleet.untouched(), watching(fleet.project) as watch:
        eventually(lambda: f"watching {len(EXPECTED)} instances" in watch.text, what="it watches")
        time.sleep(3)
        assert watch.process.poll() is None, watch.text


def test_what_was_stopped_is_started_as_it_was_and_stopped_again(fleet: OldFleet) -> None:
    before = fleet.inspected()["paper_stopped"]
    with fleet.untouched("paper_stopped"):
        fleet.new("start", "paper_stopped", "--wait")
        assert fleet.project.ps()["paper_stopped"]["state"] == "running"
        assert fleet.remembered()["paper_stopped"]["wish"] == "run"
        fleet.new("stop", "paper_stopped")
    after = fleet.inspected()["paper_stopped"]
    assert (after["Id"], after["Image"]) == (before["Id"], before["Image"])
    assert fleet.remembered()["paper_stopped"]["wish"] == "stopped"


def test_what_was_put_back_stays_what_it_is_whatever_is_asked_but_an_upgrade(fleet: OldFleet) -> None:
    before = fleet.inspected()["put_back"]
    with fleet.untouched("put_back"):
        fleet.new("up", "--recreate", "put_back")
        fleet.new("restart", "put_back", "--wait")
    after = fleet.inspected()["put_back"]
    assert (after["Id"], after["Config"]["Cmd"]) == (before["Id"], before["Config"]["Cmd"])
    assert fleet.remembered()["put_back"]["refused"]


def test_the_old_managers_upgrade_is_rolled_back(fleet: OldFleet) -> None:
    before = fleet.inspected()["upgraded_01"]
    assert _memory_mb(before) == AFTER_MB
    with fleet.untouched("upgraded_01"):
        fleet.new("rollback", "upgraded_01")
    after = fleet.inspected()["upgraded_01"]
    assert (_memory_mb(after), after["Image"]) == (BEFORE_MB, before["Image"])
    with fleet.untouched():
        assert "upgraded_01: left alone: rolled back (" in fleet.new("up").out


def test_an_image_of_a_later_contract_is_refused_and_the_fleet_goes_on(
    fleet: OldFleet, image_of_later: str, new_image: str
) -> None:
    fleet.use_image(image_of_later)
    try:
        with fleet.untouched():
            fleet.new("up")
            done = fleet.new("upgrade", "port_by_us", code=1)
            assert "which this manager does not support (label botfleet.supervisor)" in done.err
        with fleet.untouched("port_by_us"):
            fleet.new("restart", "port_by_us", "--wait")
    finally:
        fleet.use_image(new_image)


def test_an_upgrade_keeps_port_labels_variables_and_folders_and_goes_back(fleet: OldFleet) -> None:
    before, port = fleet.inspected()["port_by_us"], fleet.remembered()["port_by_us"]["web_port"]
    with fleet.untouched("port_by_us"):
        fleet.new("upgrade", "--ready", "0.1", "port_by_us")
        lacking = [
            finding["text"]
            for finding in fleet.new("doctor", "--json").json
            if finding["check"] == "older-supervisor"
        ]
        assert lacking
        assert "port_by_us" not in " ".join(lacking)
        after = fleet.inspected()["port_by_us"]
        assert after["Image"] != before["Image"]
        assert fleet.project.ps()["port_by_us"]["web_port"] == port
        assert before["Config"]["Labels"].keys() <= after["Config"]["Labels"].keys()
        assert _names(before["Config"]["Env"]) <= _names(after["Config"]["Env"])
        assert {mount["Target"] for mount in before["HostConfig"]["Mounts"]} <= {
            mount["Target"] for mount in after["HostConfig"]["Mounts"]
        }
        fleet.new("rollback", "port_by_us")
        again = fleet.inspected()["port_by_us"]
        assert (again["Image"], again["Config"]["Env"]) == (before["Image"], before["Config"]["Env"])
        assert fleet.project.ps()["port_by_us"]["web_port"] == port


def test_all_is_halted_and_exactly_what_ran_comes_back(fleet: OldFleet) -> None:
    before, remembered = fleet.lives(), fleet.remembered()
    wanted = {**fleet.project.states(), "live_halted": "running"}
    behaviours = {row["id"]: row for row in fleet.new("halt", "--json").json}
    assert {name: behaviours[name]["open_orders_at_exchange"] for name in ("live_01", "live_halted")} == {
        "live_01": 0,
        "live_halted": 0,
    }
    assert set(fleet.project.states().values()) == {"stopped"}
    assert fleet.fake.book.own_open() == []
    assert fleet.new("up").out.count("left alone: halted; `manager resume`") == len(EXPECTED)
    fleet.new("resume")
    eventually(lambda: fleet.project.states() == wanted, what=f"{wanted} again")
    until_orders(fleet.fake, 2)
    after = fleet.lives()
    assert {instance_id: life.container for instance_id, life in after.items()} == {
        name: life.container for name, life in before.items()
    }
    assert after["paper_stopped"] == before["paper_stopped"]
    assert fleet.remembered() == {**remembered, "live_halted": {**remembered["live_halted"], "halted": None}}


def test_the_old_manager_reads_what_the_new_one_wrote(fleet: OldFleet) -> None:
    """The code may be taken back too."""
    fleet.new("halt", "paper_stopped")
    with fleet.untouched():

        def differing() -> list[str]:
            """A bot that begins again on a slow machine is another one for whoever looks first."""
            old, new = (_rows(manager("ps", "--json").json) for manager in (fleet.old, fleet.new))
            return [
                f"{name}: {key}"
                for name, row in old.items()
                for key in row.keys() - {"drifted"}
                if new[name][key] != row[key]
            ]

        eventually(lambda: not differing(), what="the same rows for both")
        assert _rows(fleet.old("ps", "--json").json)["paper_stopped"]["halted"]
        fleet.old("rollback", "--dry-run")
    with fleet.untouched("paper_stopped"):
        fleet.old("start", "paper_stopped")
        fleet.old("stop", "paper_stopped")


def test_files_keep_their_names(fleet: OldFleet) -> None:
    """After all of the above: other programs, backups and an earlier manager look for them."""
    kept = fleet.on_disk("state/fleet.json")
    assert (kept["schema"], kept["fleet"], kept["ids"]) == (1, fleet.project.name, {})
    assert all(values.keys() >= set(REMEMBERED) for values in kept["instances"].values())
    steps = fleet.on_disk("state/history.json")
    assert steps["schema"] == 1
    assert {"put_back", "upgraded_01"} <= steps["instances"].keys()
    assert set(fleet.on_disk("logs/instances.json")) == set(EXPECTED)
    for name in EXPECTED:
        assert fleet.on_disk(f"state/{name}/supervisor.json")["instance"] == name
        assert isinstance(fleet.on_disk(f"secrets/{name}/env.json"), dict)
        assert Path(fleet.project.folder, f"volumes/logs/{name}").is_dir()
        assert Path(fleet.project.folder, f"volumes/database/{name}").is_dir()
    for name in ("put_back", "upgraded_01"):
        assert isinstance(fleet.on_disk(f"secrets/.rollback/{name}.json"), dict)


def test_down_forgets_no_wish_halt_port_or_rollback(fleet: OldFleet) -> None:
    remembered, before = fleet.remembered(), fleet.inspected()
    fleet.new("halt", "live_halted")
    fleet.new("down")
    assert fleet.inspected() == {}
    for name, values in fleet.remembered().items():
        changing = {"taken_down_at", "halted"}
        assert {key: values[key] for key in values.keys() - changing} == {
            key: remembered[name][key] for key in values.keys() - changing
        }
    output = fleet.new("up", "--dry-run").out
    assert "paper_stopped: left alone: stopped by a user" in output
    assert "live_halted: left alone: halted" in output
    assert "put_back: left alone: its config was rejected" in output
    assert "paper_01: create: no container" in output
    fleet.new("up", "paper_01", "--wait")
    assert fleet.project.ps()["paper_01"]["web_port"] == remembered["paper_01"]["web_port"]
    fleet.new("rollback", "put_back")
    assert fleet.inspected()["put_back"]["Config"]["Cmd"] == before["put_back"]["Config"]["Cmd"]
