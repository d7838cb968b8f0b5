"""A variable of the old `.env` that no bot gets was lost unsaid; a grid was started far from the price."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from manager.cli import parsers
from manager.cli.commands import config as config_command
from manager.cli.commands import import_
from manager.config import reach
from manager.errors import OK
from manager.fleet.session import Session
from manager.ops.migrate import last_price
from manager.ops.migrate.closing import argument
from tests.builders import a_config, a_fleet, a_spec, write_config
from tests.oldsystem import OldFolder

VARIABLES = "BACKPACK_KEY=abc\nBACKPACK_WS_URL=wss://x\nDEBUG=1\nBOTFLEET_UID=7\nEMPTY=\n"
EXCHANGE = {
    "testnet": True,
    "accounts": [{"index": 3}],
    "base_url": "${BASE_URL:-https://api.backpack.exchange}",
}


@pytest.fixture(name="old")
def _old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OldFolder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (*os.environ,):
        if "PROXY" in name.upper() or name.endswith("_API_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115
    old = OldFolder(tmp_path / "old")
    (old.folder / ".env").write_text(VARIABLES)
    (tmp_path / "desk" / "config" / "active").mkdir(parents=True)
    return old


def run(old: OldFolder, *words: str) -> int:
    fleet = old.folder.parent / "desk"
    line = ["--project-dir", str(fleet), "import", str(old.folder), *words]
    return import_.import_(Session(fleet), parsers.parser("import").parse_args(line))


def price_in(old: OldFolder, instance: str, price: object, at: object) -> None:
    with contextlib.closing(sqlite3.connect(old.folder / "database" / f"{instance}.db")) as database:
        database.execute("CREATE TABLE trades (id INTEGER PRIMARY KEY, price REAL, timestamp TEXT)")
        database.execute("INSERT INTO trades (price, timestamp) VALUES (1, '2024-01-01')")
        database.execute("INSERT INTO trades (price, timestamp) VALUES (?, ?)", (price, at))
        database.commit()


def test_the_table_comes_last_and_says_what_reaches_whom(
    old: OldFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("bp_sol_01", a_config("bp_sol_01", 5001, exchange_config=EXCHANGE))
    price_in(old, "bp_sol_01", 181.25, "2025-11-30T18:59:00")
    old.add("bp_eth_02", a_config("bp_eth_02", 5002, metadata={"symbol": "ETH"}, mode="live"))
    log = old.folder / "logs" / "bp_eth_02" / date.today().isoformat() / "bot_stdout.log"
    log.write_text("price: 1\nINFO 當前價格：151.5，3 orders\n")
    os.utime(log, (1764529200, 1764529200))
    before = old.content()
    assert run(old, "--env", "--yes") == OK
    assert old.content() == before
    output = capsys.readouterr().out.splitlines()
    (head,) = [index for index, line in enumerate(output) if line.startswith("ID ")]
    table = [" ".join(line.split()) for line in output[head:]]
    when = [price.split("(")[1].split(")")[0] for price in table[1:3]]
    assert table[:4] == [
        "ID MODE KEYS RANGE LAST PRICE VARIABLES REACHES NO BOT",
        f"bp_eth_02 live not set: BACKPACK_SECRET 140–180 151.5 ({when[0]}): in its range BACKPACK_KEY -",
        f"bp_sol_01 paper not set: BACKPACK_SECRET 140–180 181.25 ({when[1]}): above its range BASE_URL"
        " exchange_config.testnet, exchange_config.accounts[0].index",
        ".env: reach no bot: BACKPACK_WS_URL, DEBUG; a bot gets the variables that its config names in"
        " exchange_config or environment, and those of `variables` in config/fleet.toml",
    ]
    assert when[1] == "old database, 2025-11-30 18:59:00"
    assert when[0].startswith("old log, 2025-")
    assert output.index("bp_eth_02: config copied") < head
    assert "abc" not in "\n".join(output)
    assert run(old, "--env", "--yes") == OK
    assert "RANGE" not in capsys.readouterr().out  # what was imported before has nothing to be told


def test_the_json_has_it_too(old: OldFolder, capsys: pytest.CaptureFixture[str]) -> None:
    old.add("bp_sol_01", a_config("bp_sol_01", 5001))
    assert run(old, "--json") == OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["unused_variables"] == ["BACKPACK_WS_URL", "DEBUG"]
    (row,) = answer["instances"]
    assert row["credentials"] == {"BACKPACK_KEY": "in_old_env", "BACKPACK_SECRET": "unset"}
    assert (row["range"], row["last_price"], row["place"]) == ({"lower": "140", "upper": "180"}, None, None)


def test_a_key_that_only_the_old_env_has_is_not_called_unset(
    old: OldFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("bp_sol_01", a_config("bp_sol_01", 5001))
    assert run(old) == OK
    output = capsys.readouterr().out
    assert "not set: BACKPACK_SECRET; in the old .env (copy with --env): BACKPACK_KEY" in output
    (old.folder / ".env").write_text("BACKPACK_KEY=your_api_key_here\n")
    assert run(old) == OK
    assert "not set: BACKPACK_SECRET; placeholder: BACKPACK_KEY" in capsys.readouterr().out


def test_what_is_refused_is_in_the_table_and_its_file_name_moves_no_cursor(
    old: OldFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add("bp_sol_01", a_config("bp_sol_01", 5001, daemon_config={"web_port": 5002}))
    old.add("bp_eth_02", a_config("bp_eth_02", 5002))
    (old.folder / "config" / "active" / "x\x1b[2J\u202e.json").write_text("{")
    (old.folder / "config" / "archived").mkdir()
    (old.folder / "config" / "archived" / "y\x1b[2J.json").write_text("{")
    assert run(old) != OK
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "\u202e" not in captured.out + captured.err
    assert [line.split()[0] for line in captured.out.splitlines() if "140–180" in line] == [
        "bp_eth_02",
        "bp_sol_01",
    ]


def test_config_check_lists_what_no_bot_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(tmp_path, a_config("bp_sol_01", 5001, exchange_config=EXCHANGE), "bp_sol_01")
    write_config(
        tmp_path,
        a_config(
            "bp_quote", 5002, metadata={"strategy": "standard"}, strategy_config={"spread": 0.1, "horizon": 1}
        ),
        "bp_quote",
    )
    (tmp_path / ".env").write_text(VARIABLES)
    line = ["--project-dir", str(tmp_path), "config"]
    parser = parsers.parser("config")
    config_command.config(Session(tmp_path), parser.parse_args([*line, "--check"]))
    errors = capsys.readouterr().err.splitlines()
    for key in ("grid_upper_price", "grid_lower_price", "grid_num"):  # said once, here and by `plan`
        assert [text for text in errors if f"strategy_config.{key}" in text] == [
            f"warning: config/active/bp_quote.json: strategy_config.{key}: is ignored:"
            " a bot with the strategy standard has no use for it"
        ]
    warnings = [text.split(";")[0] for text in errors if "reach no bot" in text]
    assert warnings == [
        "warning: config/active/bp_sol_01.json: reach no bot: exchange_config.testnet,"
        " exchange_config.accounts[0].index",
        "warning: .env: reach no bot: BACKPACK_WS_URL, DEBUG",
    ]
    config_command.config(Session(tmp_path), parser.parse_args(line))
    assert "reach no bot" not in capsys.readouterr().err


def test_what_is_used_only_in_live_mode_or_by_alerts_reaches_somebody() -> None:
    fleet = a_fleet(variables=("MY_*",))
    names = ["BACKPACK_KEY", "BACKPACK_SECRET", "MY_PROXY", "OTHER", "BOTFLEET_UID", "COMPOSE_FILE"]
    assert reach.variables_unused(names, [a_spec()], fleet) == ("OTHER",)
    assert reach.variables_given(a_spec(), fleet, {"BACKPACK_KEY": "a", "MY_PROXY": "b"}) == ("MY_PROXY",)
    live = a_spec(mode="live")
    assert reach.variables_given(live, fleet, {"BACKPACK_KEY": "a", "MY_PROXY": ""}) == ("BACKPACK_KEY",)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            "CREATE TABLE fills (price TEXT, ts INTEGER); INSERT INTO fills VALUES ('150.50', 1764529200000)",
            "150.50",
        ),
        ("CREATE TABLE fills (Price REAL); INSERT INTO fills VALUES (2), (3)", "3.0"),
        ("CREATE TABLE fills (price TEXT); INSERT INTO fills VALUES ('NaN')", None),
        ("CREATE TABLE fills (price TEXT); INSERT INTO fills VALUES (zeroblob(1000000))", None),
        ("CREATE TABLE fills (price REAL, at TEXT); INSERT INTO fills VALUES (-1, 'soon')", None),
        ("CREATE TABLE fills (price REAL PRIMARY KEY) WITHOUT ROWID; INSERT INTO fills VALUES (1)", None),
        ('CREATE TABLE "a"" b" (price REAL); INSERT INTO "a"" b" VALUES (1)', None),
        ("CREATE TABLE t (quantity REAL)", None),
        (
            "CREATE VIEW trades AS WITH RECURSIVE c(price) AS (SELECT 1 UNION ALL SELECT price FROM c)"
            " SELECT price FROM c",
            None,
        ),
    ],
)
def test_the_last_price_of_a_database_of_whatever_kind(
    tmp_path: Path, content: str, wanted: str | None
) -> None:
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(content)
        database.commit()
    price = last_price.find(path, tmp_path / "none")
    assert (price and str(price.value)) == wanted


def test_the_newer_of_database_and_log_counts_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_bytes(b"no database" * 100)
    day = tmp_path / "2026-01-01"
    day.mkdir()
    (tmp_path / "secret").write_text("price: 5")
    (day / "bot_stdout.log").symlink_to(tmp_path / "secret")
    os.mkfifo(day / "bot_stderr.log")
    assert last_price.find(tmp_path / "junk.db", tmp_path) is None
    (day / "bot_stdout.log").unlink()
    (day / "bot_stdout.log").write_bytes(b"\xff\xfe" * 200_000 + b"\nmark price = 7.5\n")
    price = last_price.find(tmp_path / "junk.db", tmp_path)
    assert price is not None
    assert (price.value, price.source) == (Decimal("7.5"), "log")


def test_an_option_is_read_in_both_spellings() -> None:
    assert argument(("--grid-lower", "1"), "--grid-lower") == "1"
    assert argument(("--grid-lower=2",), "--grid-lower") == "2"
    assert argument(("--grid-lower",), "--grid-lower") is None
