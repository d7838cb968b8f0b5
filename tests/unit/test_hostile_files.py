"""Files that a bot can write and the manager reads: nothing waits, nothing grows, nothing is believed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from manager.engine import build_mirrors
from manager.fleet import supervisor_state
from manager.monitor.top import commands
from manager.monitor.watch import deliver
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.messages import Message
from tests.builders import a_supervisor_file

HOSTILE_VALUES: list[Any] = [
    "x",
    [],
    {},
    True,
    -1,
    10**400,
    1e300,
    float("nan"),
    float("inf"),
    "\x1b[2J",
    [[[]]],
    {"a": {}},
]
FIELDS = [
    "container",
    "state",
    "why",
    "bot_pid",
    "bot_started_at",
    "updated_at",
    "updated_uptime",
    "health_interval",
    "health",
    "restarts",
    "last_exit",
]


def read(folder: Path) -> supervisor_state.SupervisorState | None:
    """What is read, after the use that the rest of the manager makes of it."""
    state = supervisor_state.read(folder)
    if state is not None:
        state.is_stale(1000.0)
        hash((state.bot_pid, state.container))
        assert all(text.isprintable() for text in (state.container, state.state, state.why or ""))
        assert abs(state.bot_started_at or 0) < 1e12
    return state


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=[repr(value)[:12] for value in HOSTILE_VALUES])
def test_a_state_file_of_wrong_types_is_read_strictly(tmp_path: Path, field: str, value: Any) -> None:
    (tmp_path / "supervisor.json").write_text(json.dumps({**a_supervisor_file(), field: value}))
    read(tmp_path)


@pytest.mark.parametrize("name", ["supervisor.json", "report.json"])
def test_what_is_no_plain_file_is_not_read(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "elsewhere.json"
    secret.write_text(json.dumps({**a_supervisor_file(), "open_orders_left": 3}))
    path = tmp_path / name
    for make in (
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(secret),
        lambda: path.mkdir(),
        lambda: path.write_bytes(b"[" * 5_000_000),
        lambda: path.write_bytes(b"[" * 500_000),
        lambda: path.write_bytes(b"\xff\xfe\0"),
        lambda: path.write_bytes(json.dumps(a_supervisor_file(why="x" * 2_000_000)).encode()),
    ):
        make()
        assert read(tmp_path) is None
        assert supervisor_state.open_orders_left(tmp_path) is None
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_no_program_of_ours_is_run_from_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who reads a bot's logs is in the bot's folder, and may be root."""
    for name in ("json", "typing", "pathlib"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)
    deliver.send(Address("${ALERT_URL}", "json://127.0.0.1:9/"), Message("x", "", "news"))
    subprocess.run(commands.manager(None, "--version"), check=True)
    build_mirrors._pip_config_list(os.environ)
    assert not (tmp_path / "ran").exists()
