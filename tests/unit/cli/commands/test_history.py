"""`manager history` on real files, without an engine."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from manager.cli.commands.history import TRADE_HEADS
from manager.cli.main import main
from manager.config.fleet import Fleet
from manager.errors import OK, USAGE
from manager.fleet import tombstone
from manager.fleet.tombstone import Tombstone
from manager.monitor.history import database, summary, writing
from manager.monitor.history.model import Event, Run, Sample, Span, Trade
from manager.monitor.history.reader import InstanceHistory
from manager.util import console
from tests.builders import a_config, write_config

Play = Callable[..., str]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Play:
    """Run `manager history` in a fleet of one config, one removed instance, and two hours of history."""
    write_config(tmp_path, a_config())
    (tmp_path / "config" / "fleet.toml").write_text('name = "desk"\n')
    fleet = Fleet("desk", tmp_path, tmp_path / "volumes")
    fleet.state_dir.mkdir(parents=True)
    now = time.time()
    begin = now - 7200
    db, _aside = database.open_for_writing(fleet.history_file)
    for instance, quote, sign in (("bp_sol_01", "USDC", 1), ("gone_02", "USDT", -1)):
        samples = [
            Sample(
                begin + 60 * number,
                "running",
                "trading",
                "live",
                begin,
                begin,
                quote,
                "SOL",
                Decimal(sign * number),
            )
            for number in range(120)
        ]
        writing.add_samples(db, instance, samples)
    writing.put_watched(db, Span(begin, now))
    reason = {"code": "exit_code", "params": {"code": 3}}
    writing.add_events(db, [Event(now - 60, "bp_sol_01", "exit", "exit code 3", reason)])
    writing.put_runs(db, "bp_sol_01", [Run(begin, None, "", "live")])
    trade = Trade(
        begin,
        "bp_sol_01",
        "backpack",
        "SOL_USDC_PERP",
        "live",
        "=1+1",
        "o1",
        "buy",
        Decimal("150.10"),
        Decimal("0.1"),
        Decimal("0.0015"),
        "USDC",
        True,
    )
    writing.add_trades(db, [trade, trade._replace(instance="gone_02", at=begin + 1, trade_id="t2")])
    db.close()
    monkeypatch.setattr(console, "terminal_width", lambda: None)

    def run(*words: str, code: int = OK) -> str:
        assert main(["--project-dir", str(tmp_path), "history", *words]) == code
        printed = capsys.readouterr()
        return printed.out if code == OK else printed.err

    return run


def test_removed_instances_are_there_and_currencies_are_not_added(play: Play) -> None:
    lines = play().splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["bp_sol_01", "gone_02"]
    assert lines[3] == "total: P&L live +119.00 USDC, live -119.00 USDT"
    assert len(lines) == 4


def test_what_was_moved_to_another_machine_counts_there(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database went along: the P&L of before would be in the sums of both machines."""
    warned: list[str] = []
    monkeypatch.setattr(console, "warning", lambda text: warned.append(str(text)))
    fleet = Fleet("desk", tmp_path, tmp_path / "volumes")
    tombstone.bury(fleet, "bp_sol_01", Tombstone(1, "tokyo", "m", is_arriving=True))
    assert "live +119.00 USDC" in play().splitlines()[3]
    tombstone.bury(fleet, "bp_sol_01", Tombstone(1, "tokyo", "m"))
    assert play().splitlines()[3] == "total: P&L live -119.00 USDT"
    assert [row["instance"] for row in csv.DictReader(play("--trades").splitlines())] == [
        "bp_sol_01",
        "gone_02",
    ]
    assert len(warned) == 2
    assert warned[0].startswith("bp_sol_01: it was moved to tokyo, where its history goes on")


def test_what_a_restore_has_moved_aside_is_no_instance(play: Play, tmp_path: Path) -> None:
    aside = "bp_sol_01.before-restore-20261129-183947"
    (tmp_path / "volumes" / "database" / aside).mkdir(parents=True)
    assert aside not in play()
    assert [row["id"] for row in json.loads(play("--json"))] == ["bp_sol_01", "gone_02"]
    assert aside in play(aside), "who names it sees it"


def test_stated_rates_make_a_sum(play: Play, tmp_path: Path) -> None:
    toml = tmp_path / "config" / "fleet.toml"
    toml.write_text('name = "desk"\n[sums]\ncurrency = "USD"\nrates = { USDC = 1.0, USDT = 0.5 }\n')
    assert play().splitlines()[-1] == "live in USD, by the rates of config/fleet.toml: +59.50 USD"
    toml.write_text('name = "desk"\n[sums]\ncurrency = "USDC"\n')
    assert play().splitlines()[-1].endswith("+119.00 USDC; without USDT: no rate is stated")


def test_one_instance_has_its_days_runs_and_events(play: Play) -> None:
    shown = play("bp_sol_01")
    assert "so far" in shown
    assert "exit code 3" in shown
    assert shown.count("LIVE") >= 3


def test_no_event_moves_the_cursor_or_colours_anything(play: Play, tmp_path: Path) -> None:
    """What a command did is told with the errors of others, and a damaged line may say anything."""
    db, _aside = database.open_for_writing(Fleet("desk", tmp_path, tmp_path / "volumes").history_file)
    event = Event(time.time() - 9, "bp_sol_01", "command", "up\x1b[31m: start\r\u202e (\x9b2J)")
    with database.transaction(db):
        writing.add_events(db, [event, event._replace(text="\x1b[2J")])
    db.close()
    shown = play("bp_sol_01")
    assert "up [31m: start   ( 2J)" in shown
    assert not {"\x1b", "\r", "\x9b", "\u202e"} & set(shown)


def test_a_narrow_terminal_gets_fewer_columns(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "terminal_width", lambda: 60)
    lines = play().splitlines()[:3]
    assert max(map(len, lines)) <= 60
    assert lines[0].split()[:4] == ["ID", "MODE", "P&L", "TODAY"]


def test_trades_are_csv_with_exact_amounts_and_no_formulas(play: Play) -> None:
    rows = list(csv.DictReader(play("--trades").splitlines()))
    assert [row["instance"] for row in rows] == ["bp_sol_01", "gone_02"]
    assert (rows[0]["price"], rows[0]["quantity"], rows[0]["value"]) == ("150.10", "0.1", "15.010")
    assert rows[0]["trade_id"] == "'=1+1"
    assert (rows[0]["value_currency"], rows[0]["fee_currency"]) == ("USDC", "USDC")
    assert len(list(csv.DictReader(play("--trades", "gone_02").splitlines()))) == 1


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "＝1", "中文，幣", 'a,"b"', "plain"]
)
def test_no_text_of_a_bot_is_a_formula_or_another_column(play: Play, tmp_path: Path, text: str) -> None:
    db, _aside = database.open_for_writing(Fleet("desk", tmp_path, tmp_path / "volumes").history_file)
    amounts = (Decimal("1.5"), Decimal(2), Decimal("-0.5"))
    trade = Trade(time.time() - 9, "bp_sol_01", text, text, "live", text, text, "sell", *amounts, text, False)
    with database.transaction(db):
        writing.add_trades(db, [trade])
    db.close()
    row = list(csv.DictReader(io.StringIO(play("--trades"))))[-1]
    escaped = f"'{text}" if text[0] in "=+-@\t＝" else text
    for column in ("exchange", "symbol", "trade_id", "order_id", "fee_currency"):
        assert row[column] == escaped, column
    assert (row["price"], row["fee"], len(row)) == ("1.5", "-0.5", len(TRADE_HEADS))


@pytest.mark.parametrize(
    ("symbols", "quotes", "currencies"),
    [
        (["SOLUSDT"], ["USDT"], {"SOLUSDT": "USDT"}),
        (["SOLUSDT"], ["USDT", "EUR"], {"SOLUSDT": ""}),  # of which of the two it is, nobody has said
        (["SOLUSDT"], [], {"SOLUSDT": ""}),
        (["SOL_USDC_PERP", "ETH_EUR"], ["USDC"], {"SOL_USDC_PERP": "USDC", "ETH_EUR": "EUR"}),
        (["ETH-USD-PERP"], ["USDC"], {"ETH-USD-PERP": "USDC"}),
        (["BTC/USDT:USDT"], [], {"BTC/USDT:USDT": "USDT"}),
        (["BTC/USD:BTC"], ["USD"], {"BTC/USD:BTC": "USD"}),
        (["SOL-PERP"], ["USDC"], {"SOL-PERP": "USDC"}),
        (["BTC-PERPETUAL"], [], {"BTC-PERPETUAL": ""}),
        (["BTCUSD", "SOLUSDT"], ["USDT"], {"BTCUSD": "", "SOLUSDT": "USDT"}),
    ],
)
def test_each_trade_has_the_currency_of_its_value(
    symbols: list[str], quotes: list[str], currencies: dict[str, str]
) -> None:
    """Amounts of two currencies in one column would be added up."""
    zero = Decimal(0)
    trades = [
        Trade(number, "a", "aster", symbol, "live", "t", "o", "buy", zero, zero, zero, "BNB", True)
        for number, symbol in enumerate(symbols)
    ]
    samples = [Sample(1.0, "running", quote=quote, pnl=zero) for quote in quotes]
    history = InstanceHistory("a", samples, trades=trades)
    assert summary.currencies_of_trades(history) == currencies


def test_json_has_exact_amounts(play: Play) -> None:
    (one,) = json.loads(play("bp_sol_01", "--json"))
    assert [(line["kind"], line["quote"], line["pnl"]) for line in one["pnl"]] == [("live", "USDC", "119")]
    assert one["events"][0]["reason"] == {"code": "exit_code", "params": {"code": 3}}
    assert sum(Decimal(day["pnl"]) for day in one["days"]) == 119


def test_since_begins_later(play: Play) -> None:
    (one,) = json.loads(play("bp_sol_01", "--since", "1h", "--json"))
    assert 58 <= Decimal(one["pnl"][0]["pnl"]) <= 61


def test_what_makes_no_sense_is_a_usage_error(play: Play) -> None:
    assert "did you mean bp_sol_01?" in play("bp_sol_1", code=USAGE)
    assert "--trades prints CSV" in play("--trades", "--json", code=USAGE)


def test_a_damaged_history_is_named_and_stays_where_it_is(
    play: Play, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "volumes" / "state" / "history.db"
    for file in path.parent.glob("history.db-*"):
        file.unlink()
    path.write_bytes(b"no database" * 1000)
    assert main(["--project-dir", str(tmp_path), "history"]) == OK
    assert f"{path} is damaged, or not a history" in capsys.readouterr().err
    assert path.read_bytes() == b"no database" * 1000
