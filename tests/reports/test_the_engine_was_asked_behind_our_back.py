"""What people do to containers with docker's own commands is seen, and mended by the command that is next."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.config.spec import DATA_AT, LOGS_AT
from manager.fleet import cgroup_limits
from tests.fakes.desk import ETH, SOL, Desk
from tests.fakes.engine import FakeEngine


@pytest.fixture
def fleet(desk: Desk) -> Desk:
    """A fleet that runs."""
    desk.play("up")
    return desk


@pytest.mark.parametrize("command", ["up", "start", "restart", "start bp_sol_01", "restart bp_sol_01"])
def test_a_bot_without_its_network_is_put_back_by(fleet: Desk, command: str) -> None:
    fleet.engine.disconnect(SOL)
    assert "drifted: network" in fleet.play("ps")
    assert "bp_sol_01: recreate: not on its network" in fleet.play("plan")
    printed = fleet.play(command)
    assert "bp_sol_01: recreated (not on its network" in printed
    assert "bp_eth_02: recreated" not in printed
    assert "drifted" not in fleet.play("ps")


def test_a_halted_bot_without_its_network_is_put_back_by_resume(fleet: Desk) -> None:
    fleet.play("halt")
    fleet.engine.disconnect(SOL)
    assert "bp_sol_01: recreated (not on its network" in fleet.play("resume")
    assert set(fleet.states().values()) == {"running"}


@pytest.mark.parametrize(
    "command", ["start", "restart", "start bp_sol_01 bp_eth_02", "up bp_sol_01 bp_eth_02"]
)
def test_a_network_that_was_pruned_while_all_were_stopped_is_made_again_by(fleet: Desk, command: str) -> None:
    fleet.play("stop")
    fleet.engine.lose_network("desk_default")
    printed = fleet.play(command)
    if "bp_sol_01" in command or command == "start":
        assert "bp_sol_01: recreated (not on its network" in printed
    fleet.play("start bp_sol_01 bp_eth_02")
    assert set(fleet.states().values()) == {"running"}
    assert fleet.exit_code == 0


def test_a_network_that_was_made_anew_is_another_one_to_what_ran_in_the_old_one(fleet: Desk) -> None:
    fleet.play("stop")
    fleet.engine.lose_network("desk_default")
    fleet.config("bp_btc_03", 5003)
    fleet.play("up")
    assert fleet.states()["bp_btc_03"] == "running"
    fleet.goes("""
        $ plan bp_sol_01
        bp_sol_01: recreate: not on its network
        $ start bp_sol_01
        bp_sol_01: recreated (not on its network, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


@pytest.mark.parametrize("command", ["restart", "restart bp_sol_01"])
def test_limits_of_docker_update_are_named_by_doctor_and_undone_by_a_restart(
    fleet: Desk, command: str
) -> None:
    own = fleet.engine.inspect(SOL)["HostConfig"]
    fleet.engine.update(SOL, {"RestartPolicy": {"Name": "no"}, "Memory": 64 << 20, "MemorySwap": 64 << 20})
    printed = fleet.play("doctor")
    assert "bp_sol_01 (RestartPolicy, Memory, MemorySwap)" in printed
    assert "bp_eth_02 (" not in printed
    fleet.play(command)
    assert fleet.engine.inspect(SOL)["HostConfig"] == own
    assert "RestartPolicy" not in fleet.play("doctor")


@pytest.mark.parametrize("command", ["restart bp_sol_01", "start bp_sol_01", "up bp_sol_01"])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("memory/docker/{id}/memory.limit_in_bytes", "67108864"),
        ("system.slice/docker-{id}.scope/memory.max", "max"),
        ("docker/{id}/cpu.max", "20000 100000"),
        ("pids/system.slice/docker-{id}.scope/pids.max", "5"),
    ],
)
def test_other_limits_are_seen_in_the_cgroup_and_undone_when_a_person_names_the_bot(
    fleet: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str, command: str
) -> None:
    """`up` alone does not: a lower memory limit could end the bot at once."""
    monkeypatch.setattr(cgroup_limits, "ROOT", str(tmp_path / "cgroup"))
    _write_cgroup(fleet, tmp_path / "cgroup", file, content)
    assert "drifted: limits" in fleet.play("ps")
    assert "drifted: limits" not in fleet.play("ps bp_eth_02")
    assert "bp_sol_01: left alone: `docker update` gave it other limits than its config" in fleet.play("plan")
    printed = fleet.play("up")
    assert "`manager restart bp_sol_01` undoes that" in printed
    assert "restarted" not in printed
    assert "already running" in fleet.play("start")
    assert "bp_sol_01: restarted (" in fleet.play(command)


def _write_cgroup(fleet: Desk, root: Path, changed: str, content: str) -> None:
    """Write the limits as they are made, in the folders of one driver, and one that somebody changed."""
    container = fleet.engine.find(SOL).id
    host = fleet.engine.inspect(SOL)["HostConfig"]
    quota = host["NanoCpus"] // 10_000
    folder = changed.format(id=container).rpartition("/")[0]
    is_unified = not folder.startswith(("memory/", "pids/"))
    below = folder.partition("/")[2]
    files = (
        {
            f"{folder}/memory.max": host["Memory"],
            f"{folder}/cpu.max": f"{quota} 100000",
            f"{folder}/pids.max": host["PidsLimit"],
        }
        if is_unified
        else {
            f"memory/{below}/memory.limit_in_bytes": host["Memory"],
            f"cpu/{below}/cpu.cfs_quota_us": quota,
            f"cpu/{below}/cpu.cfs_period_us": 100000,
            f"pids/{below}/pids.max": host["PidsLimit"],
        }
    )
    for file, value in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(f"{value}\n")
    assert "drifted" not in fleet.play("ps")
    (root / changed.format(id=container)).write_text(f"{content}\n")


def test_a_restart_changes_nothing_of_a_container_that_nobody_touched(fleet: Desk) -> None:
    printed = fleet.play("restart")
    assert "engine: update" not in printed
    assert ETH in fleet.engine.states()


def _without_data(fleet: Desk) -> None:
    _changed(fleet, lambda mounts: [each for each in mounts if each["Target"] != DATA_AT])


def _read_only(fleet: Desk) -> None:
    _changed(fleet, lambda mounts: [{**each, "ReadOnly": True} for each in mounts])


def _elsewhere(fleet: Desk) -> None:
    other = fleet.folder / "other"
    other.mkdir()
    _changed(
        fleet,
        lambda mounts: [
            {**each, "Source": str(other)} if each["Target"] == LOGS_AT else each for each in mounts
        ],
    )


def _changed(fleet: Desk, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    found = fleet.engine.find(SOL)
    host = found.body["HostConfig"]
    found.body = {**found.body, "HostConfig": {**host, "Mounts": change(list(host["Mounts"]))}}


@pytest.mark.parametrize("change", [_without_data, _read_only, _elsewhere])
@pytest.mark.parametrize("command", ["up", "start", "restart bp_sol_01"])
def test_a_container_with_other_folders_is_made_anew_by(
    fleet: Desk, change: Callable[[Desk], None], command: str
) -> None:
    change(fleet)
    assert "drifted: mounts" in fleet.play("ps")
    assert "bp_sol_01: recreate: not with its folders" in fleet.play("plan")
    printed = fleet.play(command)
    assert "bp_sol_01: recreated (not with its folders" in printed
    assert "bp_eth_02: recreated" not in printed
    assert "drifted" not in fleet.play("ps")


def test_a_mount_more_or_the_same_folder_by_another_path_is_no_drift(fleet: Desk) -> None:
    link = fleet.folder / "link"
    link.symlink_to(fleet.folder / "volumes")
    own = {"Type": "bind", "Source": str(fleet.folder), "Target": "/own"}
    _changed(
        fleet,
        lambda mounts: [
            *({**each, "Source": each["Source"].replace("/volumes/", "/link/")} for each in mounts),
            own,
        ],
    )
    assert "drifted" not in fleet.play("ps")
    assert "nothing to do" in fleet.play("plan")


@pytest.mark.parametrize("command", ["start", "restart", "restart bp_sol_01"])
def test_a_supervisor_that_cannot_write_is_named_and_made_for_its_user_again_by(
    fleet: Desk, command: str
) -> None:
    """`user: "0:0"` in a file of Compose's: root without its rights cannot write to the bots' folders."""
    body = dict(fleet.engine.find(SOL).body)
    fleet.engine.discard(SOL)
    fleet.engine.start(fleet.engine.create(SOL, {**body, "User": "0:0"}))
    fleet.clock.sleep(30)
    assert (
        "its supervisor cannot write to DIR/volumes/state/bp_sol_01; `docker logs desk-bp_sol_01` says why"
        in fleet.play("ps")
    )
    if command == "start":
        fleet.play("stop")
    printed = fleet.play(command)
    assert "bp_sol_01: recreated (not as its user" in printed
    assert "bp_eth_02: recreated" not in printed
    assert fleet.engine.inspect(SOL)["Config"]["User"] != "0:0"


def _as_root(fleet: Desk) -> None:
    state = fleet.folder / "volumes" / "state" / "bp_sol_01"
    os.chown(state, (state / "supervisor.json").stat().st_uid + 1, -1)


def _from_another_image(fleet: Desk) -> None:
    found = fleet.engine.find(SOL)
    found.body = {**found.body, "Image": "my-own-bot:local"}


@pytest.mark.parametrize(
    ("change", "word", "cause"),
    [
        (_from_another_image, "other image", "not from the fleet's image"),
        pytest.param(
            _as_root,
            "user",
            "not as its user",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user"),
        ),
    ],
)
def test_a_running_bot_of_another_user_or_image_is_named_and_mended_when_a_person_asks(
    fleet: Desk, change: Callable[[Desk], None], word: str, cause: str
) -> None:
    """Whoever made it so may have meant it: `up` alone recreates nothing that trades."""
    change(fleet)
    assert f"drifted: {word}" in fleet.play("ps")
    assert (
        f"bp_sol_01: left alone: {cause}; `manager restart bp_sol_01` makes its container anew"
        in fleet.play("plan")
    )
    assert "recreated" not in fleet.play("up")
    assert f"bp_sol_01: recreated ({cause}" in fleet.play("restart bp_sol_01")


@pytest.mark.parametrize("command", ["start", "up", "resume bp_sol_01"])
def test_a_bot_of_another_image_is_started_again_as_it_is_unless_it_is_named(
    fleet: Desk, command: str
) -> None:
    _from_another_image(fleet)
    assert "recreated" not in fleet.play("start")
    fleet.play("halt bp_sol_01" if command.startswith("resume") else "stop bp_sol_01")
    if command == "up":
        fleet.play("start bp_eth_02")
        fleet.engine.start(SOL)
    printed = fleet.play(command)
    assert "recreated" not in printed
    assert fleet.engine.find(SOL).body["Image"] == "my-own-bot:local"


def test_what_is_drifted_is_seen_without_an_inspection(fleet: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_data(fleet)
    monkeypatch.delattr(FakeEngine, "inspect")
    assert "drifted: mounts" in fleet.play("ps")
    assert "recreate: not with its folders" in fleet.play("plan")
