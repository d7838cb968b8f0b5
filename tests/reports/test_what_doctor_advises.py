"""`doctor` advised `manager down --remove-orphans` for one orphan, which ends the fleet; and a `manager up`
that leaves alone what it should mend. Each case makes a finding happen and follows its remedy as typed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from manager.fleet import project as projects
from tests.fakes.sandbox import SOL, Sandbox

OURS = re.compile(r"`manager ([^`]*)`")
SHELL = re.compile(r"`((?:chmod|kill|chown) [^`]*)`")


def findings(sandbox: Sandbox, check: str) -> list[dict[str, Any]]:
    """Return what `doctor` finds wrong of one kind."""
    rows = json.loads("\n".join(sandbox.run("doctor --json")))
    return [one for one in rows if one["check"] == check and one["level"] != "ok"]


def follow(sandbox: Sandbox, check: str, text: str = "") -> str:
    """Follow the remedy of the one finding of this kind, as typed; return the commands."""
    (finding,) = [one for one in findings(sandbox, check) if text in one["text"]]
    commands = [command for command in OURS.findall(finding["remedy"]) if command.split()[0] != "plan"][:1]
    for command in commands:
        sandbox.transcript(f"{command} --yes" if command.startswith("down") else command)
    for command in SHELL.findall(finding["remedy"]):
        subprocess.run(command, shell=True, cwd=sandbox.folder, check=True)
    return "; ".join([*commands, *SHELL.findall(finding["remedy"])])


def ids(sandbox: Sandbox) -> dict[str, str]:
    """Return container name → id."""
    return {name: sandbox.engine.find(name).id for name in sandbox.engine.states()}


def test_of_an_orphan_ends_no_other_bot(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    before = ids(sandbox)
    (sandbox.folder / "config" / "active" / "bp_eth_02.json").unlink()
    assert follow(sandbox, "orphans") == "down bp_eth_02"
    assert findings(sandbox, "orphans") == []
    assert ids(sandbox) == {SOL: before[SOL]}


def test_of_a_changed_config_is_what_applies_it(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, daemon_config={"web_port": 5002, "memory_limit_mb": 300})
    assert follow(sandbox, "drift") == "up"
    assert findings(sandbox, "drift") == []


def test_of_what_a_person_stopped_is_its_start(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    sandbox.config("bp_sol_01", 5002, daemon_config={"web_port": 5002, "memory_limit_mb": 300})
    assert "manager up" not in findings(sandbox, "drift")[0]["remedy"]
    assert follow(sandbox, "drift") == "start bp_sol_01"
    assert findings(sandbox, "drift") == []


def test_of_shares_is_a_restart(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.update(SOL, {"CpuShares": 512})
    assert follow(sandbox, "limits") == "restart bp_sol_01"
    assert (findings(sandbox, "limits"), findings(sandbox, "drift")) == ([], [])


def test_of_limits_is_an_up_that_leaves_the_bot_running(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    before = ids(sandbox)
    sandbox.engine.update(SOL, {"Memory": 64 << 20, "MemorySwap": 64 << 20})
    assert follow(sandbox, "limits") == "up"
    assert (findings(sandbox, "limits"), ids(sandbox)) == ([], before)


def test_of_an_older_image_names_whom_up_leaves_alone(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_eth_02")
    sandbox.new_image()
    assert "bp_eth_02" not in findings(sandbox, "image-drift")[0]["text"]
    assert follow(sandbox, "image-drift") == "up --recreate"
    assert findings(sandbox, "image-drift") == []


@pytest.mark.parametrize("name", [".env", "volumes/secrets/bp_sol_01"])
def test_of_open_files_closes_them(sandbox: Sandbox, name: str) -> None:
    sandbox.transcript("up")
    (sandbox.folder / name).chmod(0o755)
    check = "dotenv" if name == ".env" else "secrets"
    assert follow(sandbox, check).startswith("chmod")
    assert findings(sandbox, check) == []


def test_of_a_lock_that_is_held_for_long_frees_it(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    path = projects.read(sandbox.folder).fleet.lock_file
    note = json.dumps({"pid": 1, "command": "up", "since": "2020-01-01 00:00:00"})
    program = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'r+'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "file.truncate(0); file.write(sys.argv[2]); file.flush(); print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, path, note], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert follow(sandbox, "lock") == f"kill {holder.pid}"
        holder.wait(10)
    assert findings(sandbox, "lock") == []
    assert set(sandbox.states().values()) == {"running"}


def test_of_an_address_that_is_not_ours_says_so(sandbox: Sandbox) -> None:
    """Web ports at it were said to be in use by another program."""
    toml = sandbox.folder / "config" / "fleet.toml"
    text = toml.read_text()
    toml.write_text(f'bind_address = "192.0.2.7"\n{text}')
    (finding,) = findings(sandbox, "address")
    assert finding["text"] == "bind_address 192.0.2.7: Cannot assign requested address"
    toml.write_text(text)
    assert findings(sandbox, "address") == []
