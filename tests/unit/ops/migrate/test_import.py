"""`manager import` of a folder that rests: what is taken over, what is refused and why, and that the old
folder stays whole.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from manager.cli import parsers
from manager.cli.commands import import_
from manager.errors import BAD_CONFIG, FAILED, OK, ManagerError, UsageError
from manager.fleet import project as projects
from manager.fleet import state_file
from manager.fleet.session import Session
from manager.ops.folders import instance_folders
from tests.builders import a_config, write_config
from tests.oldsystem import OldFolder, rows_of


@pytest.fixture(name="old")
def _old(tmp_path: Path) -> OldFolder:
    old = OldFolder(tmp_path / "old")
    old.add("bp_sol_01", a_config("bp_sol_01", 5001, daemon_config={"python_path": ".venv/bin/python3"}))
    return old


@pytest.fixture
def all_processes() -> None:
    """For a test that starts some: an import sees them."""


@pytest.fixture(autouse=True)
def _no_other_process(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Show an import none but this process: it looks at all of the machine's several times."""
    if all_processes.__name__ in request.fixturenames:
        return
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / str(os.getpid())).symlink_to("/proc/self")
    monkeypatch.setattr(instance_folders, "PROCESSES", tmp_path / "proc")
    monkeypatch.setattr(psutil, "process_iter", lambda _attrs: iter(()))


@pytest.fixture(name="fleet")
def _fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115
    (tmp_path / "desk" / "config" / "active").mkdir(parents=True)
    return tmp_path / "desk"


def run(fleet: Path, old: OldFolder, *words: str) -> int:
    line = ["--project-dir", str(fleet), "import", str(old.folder), *words]
    return import_.import_(Session(fleet), parsers.parser("import").parse_args(line))


def printed(capsys: pytest.CaptureFixture[str], subject: str = "") -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(subject)]


def test_a_plan_is_shown_and_nothing_done(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((), ("--dry-run",), ("--dry-run", "--yes"), ("--json",)):
        assert run(fleet, old, *words) == OK
    assert printed(capsys)[:5] == [
        "bp_sol_01: copy database: 420 kB, including its -wal",
        "bp_sol_01: record: first registered 2025-11-30T18:00:00, stopped, because it did not run;"
        " `manager start bp_sol_01` starts it",
        "bp_sol_01: skip: python_path: accepted, but determined by the image",
        "bp_sol_01: copy config: config/active/bp_sol_01.json → config/active/bp_sol_01.json",
        "run.py: skip: to use this bot's code, build an image with `manager build --bot DIR`",
    ]
    assert list(fleet.rglob("*")) == [fleet / "config", fleet / "config" / "active"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is not its own")
def test_what_root_imports_is_the_users(old: OldFolder, fleet: Path) -> None:
    for path in (fleet, *fleet.rglob("*")):
        os.chown(path, 1234, 2345)
    assert run(fleet, old, "--yes", "--logs", "--env") == OK
    made = {path: (path.lstat().st_uid, path.lstat().st_gid) for path in fleet.rglob("*")}
    assert (fleet / "volumes/state/.import/imports.json") in made
    assert {path: owner for path, owner in made.items() if owner != (1234, 2345)} == {}


def test_everything_arrives_and_the_old_folder_stays_whole(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = old.content()
    assert run(fleet, old, "--yes", "--logs") == OK
    assert old.content() == before
    copied = fleet / "config" / "active" / "bp_sol_01.json"
    assert copied.read_bytes() == before["config/active/bp_sol_01.json"]
    assert [path.name for path in (fleet / "volumes" / "database").iterdir()] == ["bp_sol_01.db"]
    assert rows_of(fleet / "volumes" / "database" / "bp_sol_01.db") == 100
    (day,) = (
        fleet / "volumes" / "logs" / "bp_sol_01"
    ).iterdir()  # the other one is older than log_retention_days
    assert (day / "bot_stdout.log").read_text() == f"bp_sol_01 on {day.name}\n"
    project = projects.read(fleet)
    assert project.problems == ()
    assert project.fleet_state.of("bp_sol_01").registered_at == "2025-11-30T18:00:00"
    assert list((fleet / "volumes" / "state" / ".import").iterdir()) == [
        fleet / "volumes" / "state" / ".import" / "imports.json"
    ]
    capsys.readouterr()
    assert run(fleet, old, "--yes", "--logs") == OK
    assert printed(capsys)[-1] == "nothing to do"


def test_twins_in_the_folder_are_both_held_back_and_one_can_be_named(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("port_a", a_config("port_a", 5007))
    old.add("port_b", a_config("port_b", 5007))
    for name in ("id_a", "id_b"):
        (old.folder / "config" / "active" / f"{name}.json").write_text(json.dumps(a_config("same", 5008)))
    folder = f"{old.folder}/config/active"
    assert run(fleet, old, "--yes") == BAD_CONFIG
    taken = "is also used by config/active"
    id_fault = f"same: refused: {folder}/id_b.json: metadata.instance_id: same {taken}/id_a.json"
    port_fault = f"{folder}/port_b.json: daemon_config.web_port: 5007 {taken}/port_a.json"
    assert [line for line in capsys.readouterr().out.splitlines() if ": refused: " in line] == [
        id_fault,
        id_fault,
        f"port_a: refused: {port_fault}",
        f"port_b: refused: {port_fault}",
    ]
    assert [path.name for path in (fleet / "config" / "active").iterdir()] == ["bp_sol_01.json"]
    assert run(fleet, old, "port_b", "--yes") == OK
    assert (fleet / "config" / "active" / "port_b.json").exists()
    assert run(fleet, old, "same", "--yes") == BAD_CONFIG


@pytest.mark.parametrize("values", ["", "BACKPACK_KEY=abc\nBACKPACK_SECRET=def\n"])
def test_two_on_one_account_are_named_at_the_import(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str], values: str
) -> None:
    """Else `up` refuses both only when the fleet is set to live, with the old bots stopped."""
    (old.folder / ".env").write_text(values)
    old.add("first", a_config("first", 5007, metadata={"symbol": "BTC_USDC_PERP"}))
    old.add("second", a_config("second", 5008, metadata={"symbol": "BTC_USDC_PERP"}))
    old.add("of_another", a_config("of_another", 5009, metadata={"symbol": "ETH_USDC_PERP"}))
    assert run(fleet, old, "--yes") == OK
    cause = (
        "trades BTC_USDC_PERP with the same credentials as config/active/{}.json: in live mode neither is"
        " started; give one of them others, or set allow_shared_credentials = true in config/fleet.toml"
    )
    assert [line for line in printed(capsys) if ": warning: " in line] == [
        "first: warning: " + cause.format("second"),
        "second: warning: " + cause.format("first"),
    ]
    old.add("third", a_config("third", 5010, metadata={"symbol": "BTC_USDC_PERP"}))
    run(fleet, old, "third", "--dry-run")
    assert "third: warning: trades BTC_USDC_PERP with the same credentials as" in capsys.readouterr().out
    (fleet / "config" / "fleet.toml").write_text("allow_shared_credentials = true\n")
    run(fleet, old, "third", "--dry-run")
    assert "warning" not in capsys.readouterr().out


def test_an_old_flat_file_of_the_same_id_is_a_twin(old: OldFolder, fleet: Path) -> None:
    (old.folder / "config" / "daemon_config.json").write_text(json.dumps(a_config("bp_sol_01", 5001)))
    assert run(fleet, old, "--yes") == BAD_CONFIG
    assert list((fleet / "config" / "active").iterdir()) == []


def test_what_does_not_load_keeps_no_other_back(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(fleet, a_config("taken", 5002), "taken")
    old.add("TAKEN", a_config("TAKEN", 5009))
    old.add("port", a_config("port", 5002))
    old.add("outside", a_config("outside", 5003, daemon_config={"log_dir": "/var/log/bot"}))
    old.add("upwards", a_config("upwards", 5004, daemon_config={"db_path": "database/../../x.db"}))
    old.add("clear", a_config("clear", 5005, exchange_config={"api_key": "hunter2"}))
    (old.folder / "config" / "active" / "worse.json").write_text("{")
    (old.folder / "config" / "active" / "away.json").symlink_to("/etc/hostname")
    folder = f"{old.folder}/config/active"
    assert run(fleet, old, "--yes") == BAD_CONFIG
    text = capsys.readouterr().out
    assert "hunter2" not in text
    assert "not used by any config" not in text
    assert [line for line in text.splitlines() if ": refused: " in line] == [
        f"TAKEN: refused: {folder}/TAKEN.json: metadata.instance_id: TAKEN is also used by "
        f"config/active/taken.json",
        f"away: refused: {folder}/away.json: is a symlink to /etc/hostname, outside the folder",
        f"clear: refused: {folder}/clear.json: exchange_config.api_key: contains a credential in clear "
        f"text; write ${{NAME}}"
        " here and NAME=… in .env",
        f"outside: refused: {folder}/outside.json: daemon_config.log_dir: must be a path such as "
        f"logs/bp_sol_01, not"
        " “/var/log/bot”",
        f"port: refused: {folder}/port.json: daemon_config.web_port: 5002 is also used by "
        f"config/active/taken.json",
        f"upwards: refused: {folder}/upwards.json: daemon_config.db_path: must be a path such as "
        f"database/bp_sol_01.db,"
        " not “database/../../x.db”",
        f"worse: refused: {folder}/worse.json: is not JSON: it ends too early (line 1, column 2)",
    ]
    assert sorted(path.name for path in (fleet / "config" / "active").iterdir()) == [
        "bp_sol_01.json",
        "taken.json",
    ]
    assert [path.name for path in (fleet / "volumes" / "database").iterdir()] == ["bp_sol_01.db"]


def test_nothing_of_the_fleets_is_overwritten(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("bp_eth_02", a_config("bp_eth_02", 5002))
    mine = write_config(fleet, a_config("bp_sol_01", 5001, metadata={"name": "mine"}))
    database = fleet / "volumes" / "database" / "bp_eth_02.db"
    database.parent.mkdir(parents=True)
    database.write_text("mine")
    content = mine.read_bytes()
    assert run(fleet, old, "--yes") == FAILED
    assert [line for line in printed(capsys, "bp_") if ": refused" in line] == [
        "bp_eth_02: refused: the fleet already has a database of that name; move it away",
        "bp_sol_01: refused: config/active/bp_sol_01.json already exists with different content",
    ]
    assert (mine.read_bytes(), database.read_text()) == (content, "mine")


def test_a_hot_journal_is_rolled_back_in_the_copy_only(old: OldFolder, fleet: Path) -> None:
    path = old.folder / "database" / "bp_sol_01.db"
    for part in path.parent.iterdir():
        part.unlink()
    script = (
        "import os, sqlite3, sys\n"
        "d = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "d.execute('CREATE TABLE old_trades (id INTEGER PRIMARY KEY, note TEXT)')\n"
        "d.execute('INSERT INTO old_trades (note) VALUES (?)', ('kept',))\n"
        "d.execute('PRAGMA cache_size=1')\n"
        "d.execute('BEGIN')\n"
        "for _ in range(200): d.execute('INSERT INTO old_trades (note) VALUES (?)', ('x' * 1000,))\n"
        "d.execute('UPDATE old_trades SET note = ?', ('y' * 1000,))\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    before = old.content()
    assert len(before["database/bp_sol_01.db-journal"]) > 512
    assert run(fleet, old, "--yes") == OK
    assert old.content() == before
    with sqlite3.connect(fleet / "volumes" / "database" / "bp_sol_01.db") as database:
        assert database.execute("select note from old_trades").fetchall() == [("kept",)]


def test_a_damaged_database_is_not_taken_and_keeps_no_other_back(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("bp_eth_02", a_config("bp_eth_02", 5002))
    path = old.folder / "database" / "bp_eth_02.db"
    with sqlite3.connect(path) as database:
        database.executemany("INSERT INTO old_trades VALUES (?)", [(1000 + n,) for n in range(5000)])
    database.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(content)
    assert run(fleet, old, "--yes") == FAILED
    captured = capsys.readouterr()
    assert "the database of bp_eth_02 is damaged" in captured.err
    assert "bp_eth_02: failed" in captured.out
    assert [path.name for path in (fleet / "volumes" / "database").iterdir()] == ["bp_sol_01.db"]
    assert [path.name for path in (fleet / "config" / "active").iterdir()] == ["bp_sol_01.json"]


def test_a_database_that_leads_elsewhere_is_refused(
    old: OldFolder, fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old.folder / "database" / "bp_sol_01.db"
    for part in path.parent.iterdir():
        part.unlink()
    (tmp_path / "elsewhere.db").write_text("")
    path.symlink_to(tmp_path / "elsewhere.db")
    assert run(fleet, old, "--yes") == FAILED
    assert f"its database is not a file in the folder: {tmp_path}/elsewhere.db" in printed(capsys)[0]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_beside_a_database_must_be_a_file_too(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str], suffix: str, kind: str
) -> None:
    path = old.folder / "database" / f"bp_sol_01.db{suffix}"
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to("/etc/passwd")
    else:
        os.mkfifo(path)
    assert run(fleet, old, "--yes") == FAILED
    assert "bp_sol_01: refused: its database is not a file in the folder" in printed(capsys)[0]


def test_a_database_that_would_fill_the_disk_is_refused_before_a_bot_is_stopped(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.truncate(old.folder / "database" / "bp_sol_01.db", 8 << 40)
    assert run(fleet, old, "--yes") == FAILED
    assert printed(capsys)[0].startswith(
        "bp_sol_01: refused: its database of 8.8 TB needs twice as much room while it is copied; "
    )


def test_a_config_that_is_a_link_in_a_circle_keeps_no_other_back(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old.folder / "config" / "active" / "loop.json").symlink_to("loop.json")
    (old.folder / "database" / "loop.db").symlink_to("loop.db")
    assert run(fleet, old, "--yes") == BAD_CONFIG
    assert "loop.json: cannot be read: Too many levels of symbolic links" in capsys.readouterr().out
    assert [path.name for path in (fleet / "config" / "active").iterdir()] == ["bp_sol_01.json"]
    (fleet / "config" / "active" / "loop.json").symlink_to("loop.json")
    assert projects.read(fleet).instance_of(str(fleet / "config/active/bp_sol_01.json")) == "bp_sol_01"


def test_a_link_that_botfleet_once_made_is_followed(old: OldFolder, fleet: Path) -> None:
    folder = old.folder / "database" / "bp_sol_01"
    folder.mkdir()
    for part in sorted((old.folder / "database").glob("bp_sol_01.db*")):
        part.rename(folder / part.name)
    (old.folder / "database" / "bp_sol_01.db").symlink_to("bp_sol_01/bp_sol_01.db")
    assert run(fleet, old, "--yes") == OK
    assert rows_of(fleet / "volumes" / "database" / "bp_sol_01.db") == 100


def test_the_flat_file_and_what_only_the_registry_knows(old: OldFolder, fleet: Path) -> None:
    flat: dict[str, Any] = {
        "bot_args": ["--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "standard"],
        "environment": {"API_KEY": "${BACKPACK_KEY}"},
    }
    path = old.folder / "config" / "daemon_config.json"
    path.write_text(json.dumps(flat))
    old.register("flat_01", path, 5011)
    named = old.add("bp_eth", a_config("bp_eth", None))
    del old.records["bp_eth"]
    old.register("bp_eth_alias", named, 5012)
    assert run(fleet, old, "--yes") == OK
    project = projects.read(fleet)
    assert {name: spec.config_file for name, spec in project.specs.items()} == {
        "bp_eth_alias": "config/active/bp_eth.json",
        "bp_sol_01": "config/active/bp_sol_01.json",
        "flat_01": "config/active/flat_01.json",
    }
    assert (project.specs["flat_01"].web_port, project.specs["bp_eth_alias"].web_port) == (5011, 5012)


def test_a_port_that_somebody_has_is_not_remembered(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old.add("bp_eth", a_config("bp_eth", None))
    old.register("bp_eth", path, 5001)
    assert run(fleet, old) == OK
    assert "port 5001" not in capsys.readouterr().out


def test_an_id_that_the_old_folder_does_not_have_is_answered_with_those_that_it_has(
    old: OldFolder, fleet: Path
) -> None:
    """`manager ps` lists this fleet's."""
    old.add("bp_eth", a_config("bp_eth", None))
    with pytest.raises(UsageError) as caught:
        run(fleet, old, "zzz")
    assert str(caught.value).startswith(f"{old.folder} has no instance zzz; it has: bp_eth, ")


def test_what_stays_behind_is_said(old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old.folder / "logs" / "instances.json").write_text("{")
    old.database("stray")
    assert run(fleet, old) == OK
    lines = printed(capsys)
    assert (
        "logs/instances.json: skip: cannot be parsed; ports and registration times are not imported" in lines
    )
    assert "database/stray.db: skip: not used by any config" in lines


@pytest.mark.parametrize("values", [(), ("--env",)])
def test_variables_by_name_and_only_when_asked_with_values(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str], values: tuple[str, ...]
) -> None:
    (old.folder / ".env").write_text(
        "A_KEY=hunter2\nB_KEY=' spaced '\nC_KEY=\"'q'\"\nEMPTY=\nMINE=theirs\nBOTFLEET_UID=7\n"
    )
    (fleet / ".env").write_text("MINE=mine\nA_KEY=")
    (fleet / ".env").chmod(0o644)
    assert run(fleet, old, "--yes", *values) == OK
    captured = capsys.readouterr()
    assert "hunter2" not in captured.out + captured.err
    assert (fleet / ".env").stat().st_mode & 0o777 == 0o600
    lines = (fleet / ".env").read_text().splitlines()
    if values:
        assert lines == ["MINE=mine", "A_KEY=hunter2", "B_KEY=' spaced '", "C_KEY=\"'q'\""]
        assert ".env: skip: already set to other values here: MINE" in captured.out
    else:
        assert lines == ["MINE=mine", "A_KEY=", "B_KEY=", "C_KEY=", "EMPTY="]
    assert run(fleet, old, "--yes", *values) == OK
    assert printed(capsys)[-1] == "nothing to do"


STEERING_IN_ENV = (
    "BACKPACK_API_URL=https://evil.example\nHTTPS_PROXY=http://10.0.0.1:3128\nREGION=wss://evil.example\n"
    "BACKPACK_BASE_URL=https://api.backpack.exchange\nA_KEY=hunter2\nLEVEL=1\n"
)


def test_copied_values_that_steer_a_bot_are_named(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old.folder / ".env").write_text(STEERING_IN_ENV)
    (fleet / ".env").write_text("REGION=eu\n")
    assert run(fleet, old) == OK
    assert not [line for line in printed(capsys) if line.startswith(".env: warning: steers")]
    for arguments in ("--env",), ("--env", "--yes"):
        assert run(fleet, old, *arguments) == OK
        (warning,) = [line for line in printed(capsys) if line.startswith(".env: warning: steers")]
        assert warning == (
            ".env: warning: steers the bots that get it: BACKPACK_API_URL (addresses), HTTPS_PROXY (proxies);"
            " look at these values in the old .env before you start one"
        )
    assert (fleet / ".env").read_text().startswith("REGION=eu\nA_KEY=hunter2\nBACKPACK_API_URL=")


def test_values_that_were_asked_for_come_with_one_instance_too(old: OldFolder, fleet: Path) -> None:
    (old.folder / ".env").write_text("A_KEY=hunter2\n")
    assert run(fleet, old, "bp_sol_01", "--yes", "--env") == OK
    assert (fleet / ".env").read_text() == "A_KEY=hunter2\n"


def test_what_stands_in_env_stays_byte_for_byte(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old.folder / ".env").write_text("A_KEY=1\n")
    own = "# mine\u2028yes\r\nB=1\x0c2\r\nC=3"
    (fleet / ".env").write_bytes(own.encode())
    assert run(fleet, old, "--yes") == OK
    assert (fleet / ".env").read_bytes() == f"{own}\nA_KEY=\n".encode()
    (fleet / ".env").write_bytes(large := b"#" * 1_100_000)
    assert run(fleet, old, "--yes") == FAILED
    assert (fleet / ".env").read_bytes() == large
    assert ".env is larger than 1000000 bytes" in capsys.readouterr().err


def test_a_line_of_env_that_is_none_is_named(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old.folder / ".env").write_text("A_KEY=1\nhunter2\n")
    assert run(fleet, old, "--yes", "--env") == FAILED
    text = capsys.readouterr().out
    assert ".env: refused: line 2: is not NAME=value" in text
    assert "hunter2" not in text


@pytest.mark.usefixtures("all_processes")
def test_a_bot_that_has_lost_its_daemon_and_its_pid_file_is_seen(
    old: OldFolder, fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("bp_eth_01", a_config("bp_eth_01", 5002, metadata={"symbol": "ETH_USDC_PERP"}))
    words = ("--exchange", "backpack", "--symbol=SOL_USDC_PERP")
    command = [sys.executable, "run.py", str(tmp_path / "elsewhere.db"), *words]
    with subprocess.Popen(command, cwd=old.folder) as bot:
        try:
            assert run(fleet, old, "--yes", "--stop-old") == FAILED
            assert bot.poll() is None
        finally:
            bot.kill()
    refused = [line for line in printed(capsys) if ": refused: " in line]
    assert refused == [
        f"bp_sol_01: refused: running in processes {bot.pid}, which may not belong to the old system; "
        f"stop them yourself"
    ]
    assert (fleet / "config" / "active" / "bp_eth_01.json").exists()


def test_a_new_trade_in_the_old_database_is_said(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fleet, old, "--yes") == OK
    with sqlite3.connect(old.folder / "database" / "bp_sol_01.db") as database:
        database.execute("INSERT INTO old_trades DEFAULT VALUES")
    database.close()
    assert run(fleet, old, "--yes") == OK
    assert (
        "bp_sol_01: skip: already imported, but its old database has changed since" in capsys.readouterr().out
    )


def test_a_config_that_was_edited_here_stays_imported(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fleet, old, "--yes") == OK
    assert "trade on paper, without any key" in capsys.readouterr().out
    write_config(fleet, a_config("bp_sol_01", 5001, mode="live"))
    assert run(fleet, old, "--yes") == OK
    text = capsys.readouterr().out
    assert "bp_sol_01: skip: already imported; config/active/bp_sol_01.json has been changed since" in text
    assert json.loads((fleet / "config/active/bp_sol_01.json").read_text())["mode"] == "live"


def test_a_database_that_is_written_to_meanwhile_is_refused(
    old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a process out of our sight."""
    copy = shutil.copyfile

    def copied(source: Path, target: Path) -> None:
        copy(source, target)
        with sqlite3.connect(old.folder / "database" / "bp_sol_01.db") as database:
            database.execute("INSERT INTO old_trades DEFAULT VALUES")
        database.close()

    monkeypatch.setattr(shutil, "copyfile", copied)
    assert run(fleet, old, "--yes") == FAILED
    assert "changed while it was being copied" in capsys.readouterr().err
    assert not (fleet / "config" / "active" / "bp_sol_01.json").exists()


def test_only_the_instances_that_are_named(old: OldFolder, fleet: Path) -> None:
    old.add("bp_eth_02", a_config("bp_eth_02", 5002))
    assert run(fleet, old, "bp_eth_02", "--yes") == OK
    assert [path.name for path in (fleet / "config" / "active").iterdir()] == ["bp_eth_02.json"]
    with pytest.raises(UsageError, match="did you mean bp_sol_01"):
        run(fleet, old, "bp_sol_1")


def test_folders_that_are_none(old: OldFolder, fleet: Path, tmp_path: Path) -> None:
    line = ["--project-dir", str(old.folder), "import", str(old.folder)]
    with pytest.raises(UsageError, match="is this fleet's own folder"):
        import_.import_(Session(old.folder), parsers.parser("import").parse_args(line))
    old.folder = tmp_path / "nowhere"
    with pytest.raises(UsageError, match="is not a folder"):
        run(fleet, old)
    old.folder.mkdir()
    with pytest.raises(UsageError, match="contains no configs of the old system"):
        run(fleet, old)


def test_as_json(old: OldFolder, fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fleet, old, "--yes", "--json") == OK
    answer = json.loads(capsys.readouterr().out)
    assert [(step["action"], step["done"]) for step in answer["steps"]] == [
        ("database", True),
        ("remember", True),
        ("leave", None),
        ("config", True),
        ("leave", None),
    ]


def test_a_data_folder_of_another_fleet_is_refused(old: OldFolder, fleet: Path) -> None:
    path = fleet / "volumes" / "state" / "fleet.json"
    path.parent.mkdir(parents=True)
    state_file.save(path, state_file.FleetState("another"))
    with pytest.raises(ManagerError, match="belongs to the fleet another"):
        run(fleet, old, "--yes")
