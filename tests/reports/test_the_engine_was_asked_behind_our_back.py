"""What people do to containers with docker's own commands is seen, and mended by the command that is next."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manager.config.container_paths import DATA_AT, LOGS_AT
from manager.fleet import cgroup_folders, cgroup_limits
from manager.fleet import host as host_facts
from tests.fakes.engine import FakeEngine
from tests.fakes.sandbox import ETH, SOL, Sandbox

HOST_PIDS = host_facts.host_pids


@pytest.fixture
def fleet(sandbox: Sandbox) -> Sandbox:
    """A fleet that runs."""
    sandbox.transcript("up")
    return sandbox


@pytest.mark.parametrize(
    "command", ["up", "start", "restart", "start bp_sol_01", "restart bp_sol_01", "resume bp_sol_01"]
)
def test_a_bot_without_its_network_is_put_back_by(fleet: Sandbox, command: str) -> None:
    fleet.engine.disconnect(SOL)
    assert "drifted: network" in fleet.transcript("ps")
    assert "bp_sol_01: recreate: not on its network" in fleet.transcript("plan")
    printed = fleet.transcript(command)
    assert "bp_sol_01: recreated (not on its network" in printed
    assert "bp_eth_02: recreated" not in printed
    assert "drifted" not in fleet.transcript("ps")


@pytest.mark.parametrize("command", ["up", "start", "start bp_sol_01", "resume bp_sol_01", "plan"])
def test_a_bot_that_is_paused_is_left_with_the_command_that_resumes_it_by(
    fleet: Sandbox, command: str
) -> None:
    fleet.engine.set_state(SOL, "paused")
    assert "bp_sol_01: left alone: paused; `docker unpause desk-bp_sol_01` resumes it" in fleet.transcript(
        command
    )
    assert "→ `docker unpause desk-bp_sol_01` resumes it" in fleet.transcript("doctor")


@pytest.mark.parametrize("exit_code", [0, 137])
def test_a_bot_that_somebody_stopped_by_docker_comes_with_the_command_that_starts_it(
    fleet: Sandbox, exit_code: int
) -> None:
    fleet.engine.set_state(SOL, "exited", exit_code)
    printed = fleet.transcript("doctor")
    assert f"bp_sol_01 was stopped, but not by the manager: container exit code {exit_code}" in printed
    assert "→ see `manager logs bp_sol_01`; `manager up bp_sol_01` starts it" in printed


def test_a_bot_whose_container_somebody_removed_comes_with_the_command_that_starts_it(fleet: Sandbox) -> None:
    fleet.engine.discard(SOL)
    printed = fleet.transcript("doctor")
    assert "bp_sol_01 is missing: no container" in printed
    assert "→ see `manager logs bp_sol_01`; `manager up bp_sol_01` starts it" in printed
    assert "bp_sol_01: created (no container" in fleet.transcript("up bp_sol_01")
    assert "bp_sol_01 is" not in fleet.transcript("doctor")


def test_what_the_manager_has_taken_down_is_no_fault(fleet: Sandbox) -> None:
    """Its supervisor writes its last words after the moment that is noted."""
    fleet.clock.sleep(30)
    fleet.transcript("down bp_sol_01")
    assert "bp_sol_01 is" not in fleet.transcript("doctor")
    fleet.transcript("up bp_sol_01")
    fleet.engine.discard(SOL)
    assert "bp_sol_01 is missing" in fleet.transcript("doctor")


def test_a_halted_bot_without_its_network_is_put_back_by_resume(fleet: Sandbox) -> None:
    fleet.transcript("halt")
    fleet.engine.disconnect(SOL)
    assert "bp_sol_01: recreated (not on its network" in fleet.transcript("resume")
    assert set(fleet.states().values()) == {"running"}


@pytest.mark.parametrize(
    "command", ["start", "restart", "start bp_sol_01 bp_eth_02", "up bp_sol_01 bp_eth_02"]
)
def test_a_network_that_was_pruned_while_all_were_stopped_is_made_again_by(
    fleet: Sandbox, command: str
) -> None:
    fleet.transcript("stop")
    fleet.engine.lose_network("desk_default")
    printed = fleet.transcript(command)
    if "bp_sol_01" in command or command == "start":
        assert "bp_sol_01: recreated (not on its network" in printed
    fleet.transcript("start bp_sol_01 bp_eth_02")
    assert set(fleet.states().values()) == {"running"}
    assert fleet.exit_code == 0


def test_a_network_that_was_made_anew_is_another_one_to_what_ran_in_the_old_one(fleet: Sandbox) -> None:
    fleet.transcript("stop")
    fleet.engine.lose_network("desk_default")
    fleet.config("bp_btc_03", 5003)
    fleet.transcript("up")
    assert fleet.states()["bp_btc_03"] == "running"
    fleet.assert_transcript("""
        $ plan bp_sol_01
        bp_sol_01: recreate: not on its network
        $ start bp_sol_01
        bp_sol_01: recreated (not on its network, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


UPDATED = {"RestartPolicy": {"Name": "no"}, "Memory": 64 << 20, "MemorySwap": 64 << 20}


@pytest.mark.parametrize(
    ("command", "is_readable"),
    [
        # Where they are read from is no matter of the command.
        pytest.param(
            command,
            is_readable,
            marks=[] if is_readable or command in ("up", "restart bp_sol_01") else [pytest.mark.long_form],
            id=f"{command}-{'by its files' if is_readable else 'by the engine'}",
        )
        for command in ("up", "start", "up bp_sol_01", "start bp_sol_01", "restart", "restart bp_sol_01")
        for is_readable in (True, False)
    ],
)
def test_limits_and_restart_policy_of_docker_update_are_named_and_put_back_by(
    fleet: Sandbox, command: str, is_readable: bool
) -> None:
    own = fleet.engine.inspect(SOL)["HostConfig"]
    fleet.engine.has_readable_files = is_readable
    fleet.engine.update(SOL, UPDATED)
    assert "bp_sol_01 (RestartPolicy, Memory, MemorySwap)" in (printed := fleet.transcript("doctor"))
    assert "bp_eth_02 (" not in printed
    assert ("drifted: limits, restart policy" in fleet.transcript("ps")) is is_readable
    cause = "not with its limits, not with its restart policy"
    assert f"bp_sol_01: update: {cause}" in fleet.transcript("plan")
    printed = fleet.transcript(command)
    if command.startswith("restart"):
        assert "bp_sol_01: restarted (requested" in printed
    else:
        assert f"bp_sol_01: updated ({cause}, 0.0 s)" in printed
        assert [line for line in printed.splitlines() if "engine:" in line] == ["  engine: update bp_sol_01"]
    assert fleet.engine.inspect(SOL)["HostConfig"] == own
    assert "RestartPolicy" not in fleet.transcript("doctor")
    assert "drifted" not in fleet.transcript("ps")


@pytest.mark.parametrize("command", ["up", "start", "resume"])
def test_what_does_not_run_is_started_with_its_own_limits_and_restart_policy_by(
    fleet: Sandbox, command: str
) -> None:
    own = fleet.engine.inspect(SOL)["HostConfig"]
    fleet.transcript("halt" if command == "resume" else "stop")
    fleet.engine.update(SOL, UPDATED)
    printed = fleet.transcript(f"{command} bp_sol_01")
    assert "bp_sol_01: started (not running, not with its limits, not with its restart policy" in printed
    assert fleet.engine.inspect(SOL)["HostConfig"] == own


def test_what_runs_already_is_put_back_by_resume(fleet: Sandbox) -> None:
    own = fleet.engine.inspect(SOL)["HostConfig"]
    fleet.transcript("halt bp_eth_02")
    fleet.engine.update(SOL, UPDATED)
    assert "bp_sol_01: updated (" in fleet.transcript("resume bp_sol_01 bp_eth_02")
    assert fleet.engine.inspect(SOL)["HostConfig"] == own


def test_an_upgrade_makes_no_container_anew_because_of_docker_update(fleet: Sandbox) -> None:
    fleet.engine.update(SOL, UPDATED)
    assert "recreate" not in (printed := fleet.transcript("upgrade"))
    assert "engine:" not in printed


SHARES = [
    ("CpuShares", 512),
    ("CpusetCpus", "0"),
    ("CpusetMems", "0"),
    ("MemoryReservation", 32 << 20),
    ("BlkioWeight", 300),
]


@pytest.mark.parametrize(("name", "value"), SHARES)
@pytest.mark.parametrize("is_readable", [True, False], ids=["by its files", "by the engine"])
def test_shares_pins_and_reservations_are_named_and_undone_when_a_person_asks(
    fleet: Sandbox, *, is_readable: bool, name: str, value: object
) -> None:
    """The engine takes none of them back, and whoever pinned a bot may have meant it: it trades on."""
    fleet.engine.has_readable_files = is_readable
    fleet.engine.update(SOL, {name: value})
    assert f"bp_sol_01 ({name})" in fleet.transcript("doctor")
    assert ("drifted: shares" in fleet.transcript("ps")) is is_readable
    left = (
        "bp_sol_01: left alone: with CPU shares, pinned CPUs or a reservation that its config does not have;"
        " `manager restart bp_sol_01` makes its container anew"
    )
    fleet.assert_left_alone("bp_sol_01", left)
    fleet.transcript("stop bp_sol_01")
    assert "bp_sol_01: started (not running, " in fleet.transcript("start bp_sol_01")
    assert "bp_sol_01: recreated (with CPU shares, " in fleet.transcript("restart bp_sol_01")
    assert not fleet.engine.inspect(SOL)["HostConfig"].get(name)
    assert name not in fleet.transcript("doctor")
    assert "drifted" not in fleet.transcript("ps")


def test_the_usual_shares_are_no_drift(fleet: Sandbox) -> None:
    fleet.engine.update(SOL, {"CpuShares": 1024, "MemoryReservation": -1, "CpusetCpus": ""})
    assert "drifted" not in fleet.transcript("ps")
    assert "nothing to do" in fleet.transcript("plan")


def test_limits_that_an_engine_cannot_keep_are_no_drift(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes them down as unlimited, as if somebody had asked for that."""
    sandbox.engine.unkept = {"MemorySwap": -1, "PidsLimit": 0}
    sandbox.transcript("up")
    assert sandbox.engine.inspect(SOL)["HostConfig"]["MemorySwap"] == -1
    assert "drifted" not in sandbox.transcript("ps")
    assert "nothing to do" in sandbox.transcript("plan")
    info = sandbox.engine.info
    monkeypatch.setattr(sandbox.engine, "info", lambda: {**info(), "SwapLimit": False, "PidsLimit": False})
    printed = sandbox.transcript("doctor")
    assert printed.count("memory or process limits are not enforced") == 1
    assert "MemorySwap" not in printed


FILES = [
    ("memory/docker/{id}/memory.limit_in_bytes", "67108864"),
    ("memory/docker/{id}/memory.memsw.limit_in_bytes", "9223372036854771712"),
    ("system.slice/docker-{id}.scope/memory.max", "100000000"),
    ("system.slice/docker-{id}.scope/memory.swap.max", "max"),
    ("docker/{id}/cpu.max", "20000 100000"),
    ("pids/system.slice/docker-{id}.scope/pids.max", "5"),
    ("of.a.parent/own-{id}/pids.max", "max"),
]


@pytest.mark.parametrize(
    ("file", "content", "command"),
    [
        # Each file by one command, and each command by one file.
        pytest.param(
            *file,
            command,
            marks=[] if command == "up" or file == FILES[0] else [pytest.mark.long_form],
        )
        for file in FILES
        for command in ("up", "start", "up bp_sol_01", "start bp_sol_01")
    ],
)
def test_other_limits_are_seen_in_the_cgroup_and_put_back_by(
    fleet: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str, command: str
) -> None:
    fleet.engine.has_readable_files = False
    change = _cgroup(fleet, tmp_path, monkeypatch, file)
    assert "drifted" not in fleet.transcript("ps")
    change(content)
    assert "drifted: limits" in fleet.transcript("ps")
    assert "drifted: limits" not in fleet.transcript("ps bp_eth_02")
    assert "bp_sol_01: update: not with its limits" in fleet.transcript("plan")
    printed = fleet.transcript(command)
    assert "bp_sol_01: updated (not with its limits" in printed
    assert "bp_eth_02: updated" not in printed


@pytest.mark.parametrize("file", ["memory/docker/{id}/memory.limit_in_bytes", "docker/{id}/memory.max"])
def test_a_bot_that_needs_the_memory_it_was_given_keeps_it_until_a_person_names_it(
    fleet: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The limit of its config would end it at once."""
    fleet.engine.update(SOL, {"Memory": 8 << 30, "MemorySwap": 8 << 30})
    _cgroup(fleet, tmp_path, monkeypatch, file, in_use=4 << 30)(str(8 << 30))
    assert "drifted: limits" in fleet.transcript("ps")
    left = (
        "bp_sol_01: left alone: `docker update` gave it other limits, and it uses more memory now than its"
        " config allows; `manager restart bp_sol_01` undoes that"
    )
    assert left in fleet.transcript("plan")
    assert left in (printed := fleet.transcript("up"))
    assert "engine:" not in printed
    assert "bp_sol_01: restarted (not with its limits" in fleet.transcript("up bp_sol_01")
    assert fleet.engine.inspect(SOL)["HostConfig"]["Memory"] < 8 << 30


def _cgroup(
    fleet: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch, changed: str, in_use: int = 30 << 20
) -> Callable[[str], object]:
    """Write a machine's cgroup files as they are made, in the folders of one driver. Return what changes one
    of them.
    """
    container = fleet.engine.find(SOL).id
    host = fleet.engine.inspect(SOL)["HostConfig"]
    quota, root, proc = host["NanoCpus"] // 10_000, folder / "cgroup", folder / "proc"
    below = changed.format(id=container).rpartition("/")[0]
    is_unified = not below.startswith(("memory/", "pids/"))
    below = below if is_unified else below.partition("/")[2]
    files = (
        {
            f"{below}/memory.max": host["Memory"],
            f"{below}/memory.swap.max": 0,
            f"{below}/memory.current": in_use,
            f"{below}/cpu.max": f"{quota} 100000",
            f"{below}/pids.max": host["PidsLimit"],
        }
        if is_unified
        else {
            f"memory/{below}/memory.limit_in_bytes": host["Memory"],
            f"memory/{below}/memory.memsw.limit_in_bytes": host["Memory"],
            f"memory/{below}/memory.usage_in_bytes": in_use,
            f"cpu/{below}/cpu.cfs_quota_us": quota,
            f"cpu/{below}/cpu.cfs_period_us": 100000,
            f"pids/{below}/pids.max": host["PidsLimit"],
        }
    )
    kind, names = ("cgroup2", [""]) if is_unified else ("cgroup", ["memory", "cpu", "pids"])
    lines = [f"30 24 0:26 / {root / name} rw - {kind} {kind} rw,{name}" for name in names]
    process = proc / "4711"
    written = {
        **{root / name: f"{value}" for name, value in files.items()},
        proc / "self/mountinfo": "\n".join(lines),
        process / "status": "Name:\tdocker-init\nNSpid:\t4711\t1\nThreads:\t1\n",
        process / "cgroup": "\n".join(
            f"{number}:{name}:/{below}" for number, name in enumerate(names, start=0 if is_unified else 1)
        ),
    }
    for path, value in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    monkeypatch.setattr(cgroup_limits, "finder", cgroup_folders.Finder(proc))
    monkeypatch.setattr(host_facts, "host_pids", HOST_PIDS)
    return (root / changed.format(id=container)).write_text


def test_a_restart_changes_nothing_of_a_container_that_nobody_touched(fleet: Sandbox) -> None:
    printed = fleet.transcript("restart")
    assert "engine: update" not in printed
    assert ETH in fleet.engine.states()


def _without_data(fleet: Sandbox) -> None:
    _changed(fleet, lambda mounts: [mount for mount in mounts if mount["Target"] != DATA_AT])


def _read_only(fleet: Sandbox) -> None:
    _changed(fleet, lambda mounts: [{**mount, "ReadOnly": True} for mount in mounts])


def _elsewhere(fleet: Sandbox) -> None:
    other = fleet.folder / "other"
    other.mkdir()
    _changed(
        fleet,
        lambda mounts: [
            {**mount, "Source": str(other)} if mount["Target"] == LOGS_AT else mount for mount in mounts
        ],
    )


def _changed(fleet: Sandbox, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    container = fleet.engine.find(SOL)
    host = container.body["HostConfig"]
    container.body = {**container.body, "HostConfig": {**host, "Mounts": change(list(host["Mounts"]))}}


@pytest.mark.parametrize("change", [_without_data, _read_only, _elsewhere])
@pytest.mark.parametrize("command", ["up", "start", "restart bp_sol_01", "resume bp_sol_01"])
def test_a_container_with_other_folders_is_made_anew_by(
    fleet: Sandbox, change: Callable[[Sandbox], None], command: str
) -> None:
    change(fleet)
    assert "drifted: mounts" in fleet.transcript("ps")
    assert "bp_sol_01: recreate: not with its folders" in fleet.transcript("plan")
    printed = fleet.transcript(command)
    assert "bp_sol_01: recreated (not with its folders" in printed
    assert "bp_eth_02: recreated" not in printed
    assert "drifted" not in fleet.transcript("ps")


def test_a_mount_more_or_the_same_folder_by_another_path_is_no_drift(fleet: Sandbox) -> None:
    link = fleet.folder / "link"
    link.symlink_to(fleet.folder / "volumes")
    own = {"Type": "bind", "Source": str(fleet.folder), "Target": "/own"}
    _changed(
        fleet,
        lambda mounts: [
            *({**mount, "Source": mount["Source"].replace("/volumes/", "/link/")} for mount in mounts),
            own,
        ],
    )
    assert "drifted" not in fleet.transcript("ps")
    assert "nothing to do" in fleet.transcript("plan")


@pytest.mark.parametrize("command", ["start", "restart", "restart bp_sol_01"])
def test_a_supervisor_that_cannot_write_is_named_and_made_for_its_user_again_by(
    fleet: Sandbox, command: str
) -> None:
    """`user: "0:0"` in a file of Compose's: root without its rights cannot write to the bots' folders."""
    body = dict(fleet.engine.find(SOL).body)
    fleet.engine.discard(SOL)
    fleet.engine.start(fleet.engine.create(SOL, {**body, "User": "0:0"}))
    fleet.clock.sleep(30)
    assert (
        "its supervisor cannot write to DIR/volumes/state/bp_sol_01; `docker logs desk-bp_sol_01` says why"
        in fleet.transcript("ps")
    )
    if command == "start":
        fleet.transcript("stop")
    printed = fleet.transcript(command)
    assert "bp_sol_01: recreated (not as its user" in printed
    assert "bp_eth_02: recreated" not in printed
    assert fleet.engine.inspect(SOL)["Config"]["User"] != "0:0"


def _as_root(fleet: Sandbox) -> None:
    state = fleet.folder / "volumes" / "state" / "bp_sol_01"
    os.chown(state, (state / "supervisor.json").stat().st_uid + 1, -1)


def _from_another_image(fleet: Sandbox) -> None:
    container = fleet.engine.find(SOL)
    container.body = {**container.body, "Image": "my-own-bot:local"}


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
    fleet: Sandbox, change: Callable[[Sandbox], None], word: str, cause: str
) -> None:
    """Whoever made it so may have meant it: `up` alone recreates nothing that trades."""
    change(fleet)
    assert f"drifted: {word}" in fleet.transcript("ps")
    assert (
        f"bp_sol_01: left alone: {cause}; `manager restart bp_sol_01` makes its container anew"
        in fleet.transcript("plan")
    )
    assert "recreated" not in fleet.transcript("up")
    assert f"bp_sol_01: recreated ({cause}" in fleet.transcript("restart bp_sol_01")


@pytest.mark.parametrize("command", ["start", "up", "resume bp_sol_01"])
def test_a_bot_of_another_image_is_started_again_as_it_is_unless_it_is_named(
    fleet: Sandbox, command: str
) -> None:
    _from_another_image(fleet)
    assert "recreated" not in fleet.transcript("start")
    fleet.transcript("halt bp_sol_01" if command.startswith("resume") else "stop bp_sol_01")
    if command == "up":
        fleet.transcript("start bp_eth_02")
        fleet.engine.start(SOL)
    printed = fleet.transcript(command)
    assert "recreated" not in printed
    assert fleet.engine.find(SOL).body["Image"] == "my-own-bot:local"


def test_what_is_drifted_is_seen_without_an_inspection(
    fleet: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_data(fleet)
    monkeypatch.delattr(FakeEngine, "inspect")
    assert "drifted: mounts" in fleet.transcript("ps")
    assert "recreate: not with its folders" in fleet.transcript("plan")
