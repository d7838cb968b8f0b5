"""The history as `watch` writes it and `manager history` reads it, with real files and the bundled bot's
real database.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.types import Fill, Market, OrderRequest, Side
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from manager import i18n
from manager.config.fleet import Fleet
from manager.errors import UsageError
from manager.fleet import causes, event_spool, supervisor_state
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import STOPPING, State, Status
from manager.i18n import Text, _
from manager.monitor.history import curve, database, queries, reader, recorder, run_ends, summary
from manager.monitor.history.model import STATE_CODE, Event, Span
from manager.monitor.history.recorder import DAY_S, Observation, Recorder, Writer, Written
from supervisor import exits as supervisor_exits
from tests.builders import a_container, a_spec, a_supervisor_file
from tests.fakes.clock import Clock

MARKET = Market("SOL_USDC_PERP", "SOL", "USDC", True, Decimal("0.01"), Decimal("0.01"), Decimal("0.01"))
SETTINGS = {"live": True, "exchange": "backpack", "symbol": "SOL_USDC_PERP"}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet("desk", tmp_path, tmp_path / "volumes")
    made.state_dir.mkdir(parents=True)
    return made


def a_view(
    pnl: str | None = None, state: State = "running", instance: str = "bp_sol_01", **more: Any
) -> Instance:
    report = Report(pnl=Decimal(pnl), quote="USDC", contract=2, **more) if pnl is not None else None
    kept = KeptReport(report, time.time()) if report else None
    return Instance(instance, Status(state), (), a_spec(), a_container(), None, InstanceState(), report=kept)


def seen(now: float, *views: Instance) -> Observation:
    return Observation({view.id: view for view in views}, {}, now)


@pytest.fixture
def bot(fleet: Fleet) -> Iterator[Store]:
    """The database of a bot that has traded a little, hours ago, while nobody watched."""
    path = fleet.database_dir("bp_sol_01") / "bp_sol_01.db"
    opened = Store(path, durable=False)
    opened.begin_run("backpack SOL_USDC_PERP perp live", "live", SETTINGS, Ledger())
    begin = time.time() - 4 * 3600
    opened._db.execute("UPDATE runs SET started_at = ?", (begin,))
    for number in range(3):
        request = OrderRequest(f"slot{number}", Side("buy"), Decimal(150), Decimal("0.1"))
        order = opened.new_order(request, begin)
        fill = Fill(
            f"t{number}",
            f"x{number}",
            order.client_id,
            Side("buy"),
            Decimal(150),
            Decimal("0.1"),
            Decimal("0.01"),
            "USDC",
            begin + number,
        )
        assert opened.add_trade(fill, order, MARKET)
    for number in range(720):  # two hours, a point every ten seconds
        opened.samples.add_equity(opened.run_id, begin + 10 * number, Decimal(150 + number), opened.ledger)
    yield opened
    opened.close()


def test_what_a_watch_missed_is_filled_up_from_the_bots_database(fleet: Fleet, bot: Store) -> None:
    writer, now = Writer(fleet), time.time()
    assert writer.write(seen(now, a_view("500"))).why == ""
    while writer.has_work:
        assert writer.work().why == ""
    (one,) = reader.read(fleet, [], [], 0.0).instances
    filled = [sample for sample in one.samples if sample.from_bot]
    assert len(filled) in {120, 121}
    assert filled[-1].pnl is not None
    assert (filled[0].kind, filled[0].quote, filled[0].base) == ("live", "USDC", "SOL")
    assert [run.kind for run in one.runs] == ["live"]
    assert one.trades == [], "nobody has asked for them"
    with database.reading(fleet.history_file) as db:
        trades = queries.trades(db, ["bp_sol_01"])
    assert [trade.trade_id for trade in trades] == ["t0", "t1", "t2"]
    assert trades[0].fee == Decimal("0.01")
    gaps = [
        step
        for step in curve.steps(curve.by_currency(one.samples)["live", "USDC"], one.covered)
        if step.is_gap
    ]
    assert len(gaps) == 0  # two hours are known; what came after is of the paper view
    bot.end_run("its duration is over")


def test_without_a_watch_the_bots_databases_and_the_spool_are_read_and_it_is_said(
    fleet: Fleet, bot: Store
) -> None:
    event_spool.note(fleet, [event_spool.happened("stop", "bp_sol_01", "stop", "asked for", is_done=True)])
    whole = reader.read(fleet, [], [], 0.0)
    (one,) = whole.instances
    assert len(one.samples) in {120, 121}
    assert len(one.trades) == 3
    assert [event.text for event in one.events] == ["stop: stop (asked for)"]
    assert "`manager watch` has never run here" in str(whole.notes[0])
    assert not fleet.history_file.exists()
    assert not list(fleet.state_dir.glob(".history*"))


def test_a_schema_that_is_not_known_is_a_gap_and_is_named(fleet: Fleet, bot: Store) -> None:
    bot._db.execute("PRAGMA user_version=2")
    (one,) = reader.read(fleet, [], [], 0.0).instances
    assert (one.samples, one.trades) == ([], [])
    assert str(one.why) == "bp_sol_01.db: its tables are not known"


@pytest.mark.parametrize("then", ["PRAGMA wal_checkpoint(TRUNCATE)", "SELECT 1"])
@pytest.mark.parametrize("change", ["PRAGMA user_version=2", "ALTER TABLE trades RENAME COLUMN fee TO cost"])
def test_tables_that_are_not_known_any_more_are_said_while_a_watch_runs(
    fleet: Fleet, bot: Store, change: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a look, in the reader's language; and no more when they are known again."""
    clock, writer, now = Clock(), Writer(fleet), time.time()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)

    def why_after(statement: str, look: float) -> str | None:
        bot._db.executescript(f"{statement}; {then}")
        for number in range(100):  # each is a frame of the log; a bot that trades writes thousands
            bot._db.execute("UPDATE equity SET price = ?", (str(number),))
        clock.sleep(recorder.SCHEMAS_EVERY_S)
        writer.write(seen(now + look, a_view("5")))
        while writer.has_work:
            writer.work()
        (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
        told = summary.as_object(one, reader.FleetHistory([one], [], now), 0.0)["why_not_complete"]
        assert told == (None if one.why is None else str(one.why))
        return None if one.why is None else str(one.why)

    bot._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert why_after("PRAGMA user_version", 0) is None
    assert why_after(change, 30) == "bp_sol_01.db: its tables are not known"
    with i18n.speaking("zh-TW"):
        assert why_after("PRAGMA user_version", 60) == "bp_sol_01.db：不認得它的資料表"
    undo = (
        "PRAGMA user_version=1" if "user_version" in change else change.replace("fee TO cost", "cost TO fee")
    )
    assert why_after(undo, 90) is None


def test_a_file_in_its_place_that_is_no_database_is_named(fleet: Fleet) -> None:
    """As after a power cut. An empty one, or none, is of a bot that has not begun."""
    folder = fleet.database_dir("bp_sol_01")
    folder.mkdir(parents=True)
    folder.with_name("bp_sol_01.db").symlink_to("bp_sol_01/trades.db")
    for content, why in ((None, None), (b"", None), (b"no database", "trades.db: not a SQLite database")):
        if content is not None:
            (folder / "trades.db").write_bytes(content)
        (one,) = reader.read(fleet, [], [], 0.0).instances
        assert (one.samples, one.trades) == ([], [])
        assert (None if one.why is None else str(one.why)) == why


@pytest.mark.parametrize(
    "trap",
    [
        "DROP TABLE equity; CREATE VIEW equity AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1"
        " FROM n)"
        " SELECT x AS at, 1 AS run_id, 1 AS price, 1 AS position, 1 AS pnl, 1 AS realized, 1 AS fees FROM n",
        "ALTER TABLE trades RENAME COLUMN fee TO cost",
    ],
)
def test_a_hostile_database_is_not_known_either(fleet: Fleet, bot: Store, trap: str) -> None:
    bot._db.executescript(trap)
    (one,) = reader.read(fleet, [], [], 0.0).instances
    assert str(one.why) == "bp_sol_01.db: its tables are not known"


def test_values_that_are_none_are_left_out(fleet: Fleet, bot: Store) -> None:
    bot._db.execute("UPDATE trades SET price = '1e999999' WHERE trade_id = 't0'")
    bot._db.execute("UPDATE trades SET side = 'steal' WHERE trade_id = 't1'")
    bot._db.execute("UPDATE equity SET pnl = 9e99")
    (one,) = reader.read(fleet, [], [], 0.0).instances
    assert [trade.trade_id for trade in one.trades] == ["t2"]
    assert one.samples == []


def test_states_exits_and_commands_outlive_the_instance(fleet: Fleet) -> None:
    writer, now = Writer(fleet), time.time() - 400
    writer.write(seen(now, a_view("5", run_began=now - 60)))
    event_spool.note(fleet, [event_spool.happened("down", "bp_sol_01", "remove", "asked for", is_done=True)])
    writer.write(seen(now + 60, a_view("6", "stopped", run_began=now - 60)))
    writer.write(seen(now + 120))  # it is gone
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
    assert [sample.pnl for sample in one.samples] == [Decimal(5), Decimal(6)]
    assert sorted((event.what, event.text) for event in one.events) == [
        ("command", "down: remove (asked for)"),
        ("state", "stopped"),
    ]


def test_a_watch_that_starts_again_says_nothing_twice(fleet: Fleet) -> None:
    now = time.time() - 400
    event_spool.note(fleet, [event_spool.happened("up", "bp_sol_01", "create", "asked for", is_done=True)])
    Writer(fleet).write(seen(now, a_view("5")))
    Writer(fleet).write(seen(now + 10, a_view("5")))
    with database.reading(fleet.history_file) as db:
        assert [event.what for event in queries.events(db, None)] == ["command"]
        assert len(queries.samples(db, "bp_sol_01")) == 1
        assert queries.watched(db) == [Span(now, now), Span(now + 10, now + 10)]


def test_a_watch_that_was_away_did_not_watch(fleet: Fleet) -> None:
    writer, now = Writer(fleet), time.time() - 4000
    for seconds in (0, 60, 120, 2000, 2060):
        writer.write(seen(now + seconds, a_view("5")))
    with database.reading(fleet.history_file) as db:
        assert queries.watched(db) == [Span(now, now + 120), Span(now + 2000, now + 2060)]


def test_the_pnl_of_today_is_known_to_the_limits(fleet: Fleet) -> None:
    writer, start = Writer(fleet), curve.day_start(time.time())
    writer.write(seen(start - 60, a_view("100", run_began=start - 600)))
    today = writer.write(seen(start + 60, a_view("80", run_began=start - 600))).today["bp_sol_01"]
    assert [(day.pnl, day.quote, day.is_uncertain) for day in today] == [(Decimal(-20), "USDC", False)]


def test_a_clock_that_was_set_back_silences_nothing(fleet: Fleet) -> None:
    """As at a boot, before the time has been fetched."""
    writer, now = Writer(fleet), time.time() - 4000
    ahead = now + 10 * 365 * DAY_S
    writer.write(seen(ahead, a_view("100", run_began=now - 60)))
    writer.write(seen(now, a_view("5", run_began=now - 60)))
    writer.write(seen(now + 60, a_view("6", run_began=now - 60)))
    again = Writer(fleet)
    again.write(seen(now + 120, a_view("7", run_began=now - 60)))
    today = again.write(seen(now + 180, a_view("8", run_began=now - 60))).today["bp_sol_01"]
    assert sum(day.pnl for day in today) in (8, 3), "3 where midnight was within that hour"
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0, run_ends=True).instances
    assert [sample.pnl for sample in one.samples] == [Decimal(5), Decimal(6), Decimal(7), Decimal(8)]
    assert [run_end.pnl for run_end in one.run_ends] == [Decimal(8)]


def test_exits_after_the_clock_was_set_back_are_kept(fleet: Fleet) -> None:
    writer, now = Writer(fleet), time.time() - 4000

    def crashed(at: float) -> Instance:
        exit_ = {"code": 1, "signal": None, "oom": False, "killed": False, "at": at, "why": "exit code 1"}
        file = a_supervisor_file("running", last_exit={**exit_, "stderr_tail": []})
        return a_view("5")._replace(supervisor=supervisor_state._decoded(file))

    writer.write(seen(now + 3600, crashed(now + 3500)))
    writer.write(seen(now + 60, crashed(now + 30)))
    writer.write(seen(now + 120, crashed(now + 30)))
    with database.reading(fleet.history_file) as db:
        exits = [event.at for event in queries.events(db, None) if event.what == "exit"]
    assert exits == [now + 30, now + 3500]


def keep_exits(fleet: Fleet, *ends: float, instance: str = "bp_sol_01") -> None:
    """Write the exits as a supervisor keeps them."""
    folder = fleet.instance_state_dir(instance)
    folder.mkdir(exist_ok=True)
    for end in ends:
        reason = {"code": "exit_code", "params": {"code": 1}}
        supervisor_exits.add(
            str(folder / "exits.json"), {"at": end, "why": "exit code 1", "reason": reason}, end - 1
        )


def exits_told(fleet: Fleet) -> list[float]:
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
    return [event.at for event in one.events if event.what == "exit"]


def test_every_exit_of_a_fast_crash_loop_is_counted_once(fleet: Fleet) -> None:
    """Also those between two looks, and while no `watch` ran; a user's restart has removed the state file."""
    writer, now = Writer(fleet), time.time() - 400
    writer.write(seen(now, a_view("5")))
    ends = [now + 2 * number for number in range(1, 7)]
    keep_exits(fleet, *ends[:4])
    writer.write(seen(now + 9, a_view("5")))
    writer.write(seen(now + 10, a_view("5")))
    keep_exits(fleet, *ends[4:])
    assert exits_told(fleet) == ends, "no watch has seen the last two"
    (line,) = summary.lines(*one_of(fleet), 0.0)
    assert (line.exits, line.starts) == (6, 6)
    again = Writer(fleet)
    again.write(seen(now + 20, a_view("5")))
    again.write(seen(now + 80, a_view("5")))
    with database.reading(fleet.history_file) as db:
        assert [event.at for event in queries.events(db, None) if event.what == "exit"] == ends
    assert exits_told(fleet) == ends


@pytest.mark.parametrize("watches", [True, False])
def test_two_restarts_between_two_looks_are_two_ends_and_three_starts(fleet: Fleet, *, watches: bool) -> None:
    """Also before the first look of all; and of what was asked for since, only what began since."""
    now = time.time() - 400
    keep_exits(fleet, now - 10, now - 5)
    file = fleet.instance_state_dir("bp_sol_01") / "exits.json"
    supervisor_exits.begin(str(file), now - 4)
    if watches:
        Writer(fleet).write(seen(now, a_view("5")))
    (line,) = summary.lines(*one_of(fleet), 0.0)
    assert (line.starts, line.exits) == (3, 2)
    (line,) = summary.lines(*one_of(fleet, now - 5.5), now - 5.5)
    assert (line.starts, line.exits) == (1, 1)


def one_of(fleet: Fleet, since: float = 0.0) -> tuple[reader.InstanceHistory, reader.FleetHistory]:
    known = reader.read(fleet, ["bp_sol_01"], ["bp_sol_01"], since)
    return known.instances[0], known


def test_an_exit_that_is_too_old_to_be_kept_does_not_come_back(fleet: Fleet) -> None:
    now = time.time()
    keep_exits(fleet, now - (fleet.history.keep_days + 1) * DAY_S, now - 60)
    Writer(fleet).write(seen(now, a_view("5")))
    with database.reading(fleet.history_file) as db:
        assert [event.at for event in queries.events(db, None) if event.what == "exit"] == [now - 60]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 60_000,
        b'{"exits": 3}',
        b'{"exits": [3, null, {"at": "x", "why": ""}, {"at": NaN, "why": ""}, {"at": 1e300, "why": ""}]}',
        b'{"exits": [{"at": true, "why": "x"}, {"at": -5, "why": "x"}, {"at": 5, "why": ["x"]}]}',
        b'{"exits": [' + b'{"at": 5, "why": "x"},' * 9000 + b'{"at": 5, "why": "x"}]}',
    ],
)
def test_what_a_bot_has_written_in_place_of_exits_is_none(fleet: Fleet, content: bytes) -> None:
    folder = fleet.instance_state_dir("bp_sol_01")
    folder.mkdir()
    (folder / "exits.json").write_bytes(content)
    Writer(fleet).write(seen(time.time(), a_view("5")))
    assert exits_told(fleet) == []
    keep_exits(fleet, 7e8)
    assert exits_told(fleet) == [7e8]


def test_nothing_is_removed_as_old_by_a_clock_that_has_just_jumped(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    writer, now = Writer(fleet), time.time() - 4000

    def look(at: float) -> None:
        clock.sleep(60)
        writer.write(seen(at, a_view("5", run_began=now)))

    for minute in range(15):
        look(now + 60 * minute)
    for minute in range(5):  # ten years ahead, for five minutes
        look(now + 3650 * DAY_S + 60 * minute)
    with database.reading(fleet.history_file) as db:
        assert queries.first_at(db) == now


def test_a_database_that_was_replaced_and_one_beside_it_count_once(fleet: Fleet, bot: Store) -> None:
    writer, now = Writer(fleet), time.time()
    writer.write(seen(now, a_view("500")))
    path = fleet.database_dir("bp_sol_01") / "bp_sol_01.db"
    bot._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, path.with_name("bp_sol_01.before.db"))
    bot._db.execute("UPDATE runs SET started_at = started_at - 1000")  # the other is of another run
    bot._db.execute("UPDATE equity SET at = at - 7")
    bot._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for _again in range(2):
        fill_all(writer)
        writer._filled_at = {}
        writer.write(seen(time.time(), a_view("500")))
    (one,) = reader.read(fleet, [], [], 0.0).instances
    known = curve.by_currency(one.samples)["live", "USDC"]
    ends = {sample.run: sample.pnl for sample in known}
    assert len(ends) == 2
    earned = sum(day.pnl for day in curve.days(one.samples, one.covered, now) if day.kind == "live")
    assert earned == sum(pnl for pnl in ends.values() if pnl is not None)


def test_a_run_that_begins_or_ends_is_read_at_once(fleet: Fleet, bot: Store) -> None:
    """Its database alone says when, and why: read once a day, the run before is shown as the present one."""
    writer, now = Writer(fleet), time.time() - 1000
    writer.write(seen(now, a_view("5", run_began=now - 5000)))
    fill_all(writer)
    writer._filled_at = {"bp_sol_01": now}
    bot.end_run("another market")
    bot.begin_run("x", "synthetic", {**SETTINGS, "live": False}, Ledger())
    writer.write(seen(now + 60, a_view("0", run_began=now + 50)))
    assert not writer.has_work, "not yet: a bot may begin one run after another"
    writer.write(seen(now + 130, a_view("0", run_began=now + 50)))
    fill_all(writer)
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
    assert [(run.kind, run.why) for run in one.runs] == [("live", "another market"), ("synthetic", "")]
    writer._filled_at = {"bp_sol_01": now + 130}
    writer.write(seen(now + 400, a_view("0", run_began=now + 50)))
    assert not writer.has_work
    writer.write(seen(now + 460, a_view("0", "completed", run_began=now + 50)))
    assert writer.has_work


def test_a_run_on_another_market_has_its_own_currency(fleet: Fleet, bot: Store) -> None:
    """What was earned in one currency is never shown as another's."""
    bot.end_run("replaced")
    bot.begin_run("x", "live", {**SETTINGS, "symbol": "SOL_USDT_PERP"}, Ledger())
    bot.samples.add_equity(bot.run_id, time.time() - 1000, Decimal(150), bot.ledger)
    writer = Writer(fleet)
    writer.write(seen(time.time(), a_view("5")._replace(report=None)))
    newest = a_view("5", run_began=time.time() - 1000)
    report = newest.report
    assert report is not None
    newest = newest._replace(report=report._replace(report=report.report._replace(quote="USDT")))
    writer.write(seen(time.time(), newest))
    fill_all(writer)
    (one,) = reader.read(fleet, [], [], 0.0).instances
    assert {
        (sample.run or 0) > time.time() - 2000: sample.quote for sample in one.samples if sample.from_bot
    } == {
        True: "USDT",
        False: "USDC",
    }


def test_a_run_whose_database_is_gone_has_ended_when_it_was_last_seen(fleet: Fleet, bot: Store) -> None:
    """No database will ever say so, and a run without an end is shown as one that goes on."""
    writer, now = Writer(fleet), time.time() - 1000
    began = bot._db.execute("SELECT started_at FROM runs").fetchone()[0]
    writer.write(seen(now, a_view("5", run_began=began)))
    fill_all(writer)
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
    assert [run.ended for run in one.runs] == [None]
    folder = fleet.database_dir("bp_sol_01")
    shutil.rmtree(folder)
    writer.write(seen(now + 70, a_view("5", "missing", run_began=began)))
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
    assert [(run.ended, run.why) for run in one.runs] == [(now, _(run_ends.NOT_RECORDED))]
    folder.mkdir()
    writer.write(seen(now + 200, a_view("0", run_began=now + 190)))
    (one,) = reader.read(fleet, [], ["bp_sol_01"], 0.0).instances
    assert [run.ended for run in one.runs] == [now], "a database was begun anew"


@pytest.mark.parametrize("zone", ["Asia/Taipei", "America/New_York", "UTC"])
@pytest.mark.parametrize("day", [datetime(2026, 3, 20), datetime(2026, 11, 1)])  # 25 hours in New York
def test_the_day_of_the_limits_begins_at_midnight_in_the_machines_time_zone(
    fleet: Fleet, zone: str, day: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        writer, midnight = Writer(fleet), (day + timedelta(days=1)).timestamp()
        began = day.timestamp() + 60
        days = []
        for after, pnl in ((-7200, "-1"), (-30, "-5"), (15, "-5.5"), (60, "-6"), (7200, "-6.5")):
            view = a_view(pnl, run_began=began)
            written = writer.write(seen(midnight + after, view))
            assert written.why == ""
            days.append(
                (written.day, [(today.day, today.pnl) for today in written.today.get("bp_sol_01", [])])
            )
        first, second = f"{day:%F}", f"{day + timedelta(days=1):%F}"
        assert days[1] == (first, [(first, Decimal(-5))])
        assert days[-1] == (second, [(second, Decimal("-1.5"))]), "a new day, and what it has lost itself"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_bot_that_is_being_stopped_is_not_told_as_unhealthy(fleet: Fleet) -> None:
    writer, now = Writer(fleet), time.time()
    writer.write(seen(now, a_view("5")))
    stopping = a_view("5")._replace(status=Status("unhealthy", STOPPING))
    writer.write(seen(now + 1, stopping))
    writer.write(seen(now + 2, a_view("5", "stopped")))
    with database.reading(fleet.history_file) as db:
        told = [event.text for event in queries.events(db, "bp_sol_01") if event.what == "state"]
    assert [text.split(",")[0] for text in told] == ["stopped"]


@pytest.mark.parametrize("left", [None, "starting"], ids=["removed", "of the new run"])
def test_a_restart_by_the_manager_is_no_stop_by_somebody_else(
    fleet: Fleet, tmp_path: Path, left: str | None
) -> None:
    """The manager removes the supervisor's file just before a start, and the engine's list is behind."""
    writer, now = Writer(fleet), time.time()
    writer.write(seen(now, a_view("5")))
    supervisor = None
    if left is not None:
        (tmp_path / "supervisor.json").write_text(json.dumps(a_supervisor_file(left)))
        supervisor = supervisor_state.read(tmp_path)
        assert supervisor is not None
        supervisor = supervisor._replace(updated_at=now + 1)
    between = a_view("5", "stopped")._replace(
        status=Status("stopped", why=Text("container exit code {code}", code=0)),
        container=a_container("bp_sol_01", "exited")._replace(status="Exited (0) Less than a second ago"),
        supervisor=supervisor,
        saved=InstanceState(registered_at="2026-03-20T08:00:00"),
    )
    assert "not stopped by the manager" not in causes.note(between)
    writer.write(seen(now + 1, between))
    writer.write(seen(now + 2, a_view("5")))
    with database.reading(fleet.history_file) as db:
        assert [event.text for event in queries.events(db, "bp_sol_01") if event.what == "state"] == []
    assert between.container is not None
    ended = between.container._replace(status="Exited (0) 16 seconds ago")
    writer.write(seen(now + 17, between._replace(container=ended)))
    with database.reading(fleet.history_file) as db:
        told = [event.text for event in queries.events(db, "bp_sol_01") if event.what == "state"]
    assert told == ["stopped: not stopped by the manager: container exit code 0"]


@pytest.mark.parametrize("ended_at", [1.0, -400.0])
def test_who_has_not_stopped_a_bot_is_told_when_it_is_known(
    fleet: Fleet, tmp_path: Path, ended_at: float
) -> None:
    """A `docker stop` looks for some seconds like the first half of a manager's restart.

    `ended_at`: of the bot, which may have waited for its next start.
    """
    writer, now = Writer(fleet), time.time()
    writer.write(seen(now, a_view("5")))
    (tmp_path / "supervisor.json").write_text(json.dumps(a_supervisor_file("stopped")))
    supervisor = supervisor_state.read(tmp_path)
    assert supervisor is not None
    last_exit = supervisor_state.LastExit(
        0, None, oom=False, killed=False, at=now + ended_at, why="exit code 0", stderr_tail=()
    )
    stopped = a_view("5", "stopped")._replace(
        status=Status("stopped", why=Text("container exit code {code}", code=0)),
        container=a_container("bp_sol_01", "exited"),
        supervisor=supervisor._replace(last_exit=last_exit, updated_at=now + 1),
        saved=InstanceState(registered_at="2026-03-20T08:00:00"),
    )
    writer.write(seen(now + 1, stopped._replace(container=a_container())))  # the engine is a moment behind
    for passed in (2, 5, 14, 17, 20):
        writer.write(seen(now + passed, stopped))
    with database.reading(fleet.history_file) as db:
        told = [event.text for event in queries.events(db, "bp_sol_01") if event.what == "state"]
    assert told == ["stopped: not stopped by the manager: container exit code 0"]
    by_manager = stopped._replace(saved=InstanceState(wish="stopped"))
    writer.write(seen(now + 30, a_view("5")))
    writer.write(seen(now + 31, by_manager))
    with database.reading(fleet.history_file) as db:
        assert [event.text for event in queries.events(db, "bp_sol_01")][-1] == "stopped", "at once"


def fill_all(writer: Writer) -> None:
    while writer.has_work:
        assert writer.work().why == ""


def test_a_history_that_somebody_takes_away_begins_anew(fleet: Fleet) -> None:
    writer = Writer(fleet)
    writer.write(seen(time.time() - 300, a_view("5")))
    for path in fleet.state_dir.glob("history.db*"):
        path.unlink()
    assert writer.write(seen(time.time() - 200, a_view("6"))).why == ""
    with database.reading(fleet.history_file) as db:
        assert [sample.pnl for sample in queries.samples(db, "bp_sol_01")] == [Decimal(6)]


def test_a_file_that_was_put_in_its_place_is_the_history(fleet: Fleet) -> None:
    """As by a restored backup: what is written to the removed one is lost."""
    writer = Writer(fleet)
    writer.write(seen(time.time() - 300, a_view("5")))
    copy = fleet.history_file.with_name("copy.db")
    with sqlite3.connect(fleet.history_file) as db, sqlite3.connect(copy) as other:
        db.backup(other)
    for path in fleet.state_dir.glob("history.db*"):
        path.unlink()
    copy.rename(fleet.history_file)
    assert writer.write(seen(time.time() - 200, a_view("6"))).why == ""
    with database.reading(fleet.history_file) as reading:
        assert [sample.pnl for sample in queries.samples(reading, "bp_sol_01")] == [Decimal(5), Decimal(6)]


def test_after_a_failure_the_next_look_does_not_try_again_at_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that hangs each look would wait for it."""
    tries: list[Path] = []

    def refused(path: Path) -> None:
        tries.append(path)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(database, "open_for_writing", refused)
    writer = Writer(fleet)
    assert [writer.write(seen(time.time(), a_view("5"))).why for _look in range(3)] == [
        "Input/output error"
    ] * 3
    assert len(tries) == 1


def test_a_damaged_file_is_named_and_a_newer_one_left_alone(fleet: Fleet) -> None:
    fleet.history_file.write_bytes(b"no database" * 1000)
    messages: list[str] = []
    recorder = Recorder(fleet, lambda text: messages.append(str(text)))
    until_written(recorder, a_view("5"))
    assert "it was moved to" in messages[0]
    with sqlite3.connect(fleet.history_file) as db:
        db.execute("PRAGMA user_version=99")
    recorder.close()
    later = Recorder(fleet, lambda text: messages.append(str(text)))
    until_written(later, a_view("5"))
    assert "was written by a newer version" in messages[-1]
    later.close()


def until_written(recorder: Recorder, view: Instance) -> None:
    recorder.record({view.id: view}, {}, time.time())
    deadline = time.monotonic() + 20
    while recorder._turn is not None and time.monotonic() < deadline:
        time.sleep(0.01)
        recorder.go_on()


def test_a_folder_that_cannot_be_written_is_said_once(fleet: Fleet) -> None:
    fleet.state_dir.rmdir()
    messages: list[str] = []
    recorder = Recorder(fleet, lambda text: messages.append(str(text)))
    for _time in range(3):
        until_written(recorder, a_view("5"))
    assert messages == ["the history is not written: unable to open database file"]
    fleet.state_dir.mkdir()
    recorder._writer._retry_at = 0.0
    until_written(recorder, a_view("5"))
    assert messages[1:] == ["the history is written again"]
    recorder.close()


def test_a_write_that_does_not_end_is_said_once_and_when_it_is_over(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system that went away: the loss limits must not be trusted meanwhile."""
    messages: list[str] = []
    late, may_end = Recorder(fleet, lambda text: messages.append(str(text))), threading.Event()
    write = late._writer.write

    def write_late(seen: Observation) -> Written:
        assert may_end.wait(60)
        return write(seen)

    monkeypatch.setattr(late._writer, "write", write_late)
    view = a_view("5")
    late.record({view.id: view}, {}, time.time())
    late.go_on()
    assert (messages, late.why) == ([], "")
    late._began_at -= recorder.HUNG_S
    for _look in range(2):
        late.go_on()
    assert messages == ["the history is not written: the disk does not answer"]
    assert late.why == "the disk does not answer"
    may_end.set()
    assert late._turn is not None
    late._turn.result(60)
    late.go_on()
    assert messages[1:] == ["the history is written again"]
    assert not late.why
    assert late.day
    late.close()


def test_an_instance_that_nobody_knows_is_refused(fleet: Fleet) -> None:
    with pytest.raises(UsageError, match="did you mean bp_sol_01"):
        reader.read(fleet, ["bp_sol_01"], ["bp_sol_1"], 0.0)


def test_a_state_is_told_in_the_readers_language() -> None:
    cause = {"code": "exit_code", "params": {"code": 3}}
    params = {
        "state": "failed",
        "doing": "stopped out",
        "why": "exit code 3",
        "cause": cause,
        "last": "no keys",
    }
    event = Event(
        1.0, "a", "state", "failed, stopped out: exit code 3", {"code": STATE_CODE, "params": params}
    )
    assert summary.event_text(event) == "failed, stopped out: exit code 3: no keys"
    before = i18n.language()
    i18n.use("zh_TW")
    try:
        told = summary.event_text(event)
    finally:
        i18n.use(before)
    assert "exit code" not in told
    assert "stopped out" not in told
    later = event._replace(reason={"code": STATE_CODE, "params": {"state": "asleep"}})
    assert summary.event_text(later) == event.text


def test_the_days_earnings_are_summed_up_for_those_who_ask_and_are_of_no_earlier_time(fleet: Fleet) -> None:
    writer, now = Writer(fleet), time.time()
    asked = writer.write(seen(now, a_view("3")))
    assert asked.day
    assert asked.today.keys() == {"bp_sol_01"}
    unasked = writer.write(seen(now + 30, a_view("4"))._replace(asks_for_today=False))
    assert (dict(unasked.today), unasked.day) == ({}, "")
    assert writer.write(seen(now + 60, a_view("4"))).day
