"""The file of the history: whatever happens to it, it blocks nobody, and what was committed stays."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from manager.monitor.history import curve, database, queries, writing
from manager.monitor.history.database import HistoryTooNew, NotOurs
from manager.monitor.history.model import Event, Run, Sample, Span, Trade

SAMPLE = Sample(
    100.5,
    "running",
    "trading",
    "live",
    50.25,
    60.0,
    "USDC",
    "SOL",
    Decimal("-0.10"),
    Decimal("1"),
    Decimal("0.0000001"),
    Decimal("2.50"),
    Decimal("150"),
    7,
)
TRADE = Trade(
    99.5,
    "bp_sol_01",
    "backpack",
    "SOL_USDC_PERP",
    "live",
    "t1",
    "o1",
    "buy",
    Decimal("150.10"),
    Decimal("0.1"),
    Decimal("0.0015"),
    "USDC",
    True,
    Decimal("0.1"),
    None,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def opened(path: Path) -> sqlite3.Connection:
    return database.open_for_writing(path)[0]


def test_what_is_written_is_read_back_exactly(path: Path) -> None:
    db = opened(path)
    with database.transaction(db):
        writing.add_samples(db, "bp_sol_01", [SAMPLE, SAMPLE])
        writing.add_events(db, [Event(101.0, "bp_sol_01", "exit", "exit code 1", {"code": "exit_code"})])
        writing.add_trades(db, [TRADE, TRADE])
        writing.put_runs(db, "bp_sol_01", [Run(50.25, None, "", "live")])
        writing.put_runs(db, "bp_sol_01", [Run(50.25, 200.0, "its duration is over", "live")])
        writing.put_watched(db, Span(90.0, 95.0))
        writing.put_watched(db, Span(90.0, 110.0))
        writing.put_filled(db, "bp_sol_01", [Span(10.0, 20.0)])
    with database.reading(path) as reader:
        assert queries.samples(reader, "bp_sol_01") == [SAMPLE]
        assert queries.last_sample(reader, "bp_sol_01") == SAMPLE
        assert queries.events(reader, "bp_sol_01") == [
            Event(101.0, "bp_sol_01", "exit", "exit code 1", {"code": "exit_code"})
        ]
        assert queries.trades(reader, ["bp_sol_01"]) == [TRADE]
        assert queries.runs(reader, "bp_sol_01") == [Run(50.25, 200.0, "its duration is over", "live")]
        assert queries.covered(reader, "bp_sol_01") == [Span(10.0, 20.0), Span(90.0, 110.0)]
        assert queries.covered(reader, "another") == [Span(90.0, 110.0)]
        assert queries.instances(reader) == ["bp_sol_01"]


def test_samples_begin_with_the_last_one_before(path: Path) -> None:
    db = opened(path)
    writing.add_samples(db, "a", [SAMPLE._replace(at=float(at)) for at in (10, 20, 30, 40)])
    assert [sample.at for sample in queries.samples(db, "a", 25)] == [20, 30, 40]
    assert [sample.at for sample in queries.samples(db, "a", 20)] == [10, 20, 30, 40]
    assert [sample.at for sample in queries.samples(db, "a", 99)] == [40]
    assert [sample.at for sample in queries.samples(db, "a", 5)] == [10, 20, 30, 40]
    for since in (5, 20, 25, 99):
        every = queries.samples(db, "a", since)
        assert queries.pnl_samples(db, "a", since) == [
            Sample(
                sample.at,
                "",
                kind=sample.kind,
                run=sample.run,
                start=sample.start,
                quote=sample.quote,
                base=sample.base,
                pnl=sample.pnl,
                trades=sample.trades,
                from_bot=sample.from_bot,
            )
            for sample in every
        ]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_put_aside_and_a_new_history_begins(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(NotOurs), database.reading(path):
        pass
    db, aside = database.open_for_writing(path)
    assert aside is not None
    assert aside.read_bytes() == content
    writing.add_samples(db, "a", [SAMPLE])
    assert queries.instances(db) == ["a"]


def test_another_programs_database_is_put_aside_whole(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE t (x)")
    other.execute("INSERT INTO t VALUES (1)")
    other.commit()
    _db, aside = database.open_for_writing(path)
    assert aside is not None
    other.close()
    assert sqlite3.connect(aside).execute("SELECT x FROM t").fetchall() == [(1,)]


def test_a_folder_in_its_place_is_put_aside(path: Path) -> None:
    path.mkdir()
    _db, aside = database.open_for_writing(path)
    assert aside is not None
    assert aside.is_dir()


def test_a_page_that_was_overwritten_is_noticed(path: Path) -> None:
    db = opened(path)
    writing.add_samples(db, "a", [SAMPLE._replace(at=float(at)) for at in range(5000)])
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with path.open("r+b") as stream:
        for page in range(3, 40):
            stream.seek(page * 4096)
            stream.write(b"\xa5" * 4096)
    _db, aside = database.open_for_writing(path)
    assert aside is not None


def test_a_newer_managers_file_stays_as_it_is(path: Path) -> None:
    db = opened(path)
    db.execute("CREATE TABLE later (x)")
    db.execute(f"PRAGMA user_version={database.VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(HistoryTooNew, match="was written by a newer version of botfleet"):
        database.open_for_writing(path)
    with pytest.raises(HistoryTooNew), database.reading(path):
        pass
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*aside*"))


def test_a_full_disk_loses_the_turn_and_nothing_before_it(path: Path) -> None:
    db = opened(path)
    with database.transaction(db):
        writing.add_samples(db, "a", [SAMPLE])
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages + 1}")  # SQLite's own SQLITE_FULL, as a full disk gives it
    with pytest.raises(sqlite3.OperationalError, match="full"), database.transaction(db):
        writing.add_samples(db, "b", [SAMPLE._replace(at=float(at)) for at in range(10_000)])
    assert queries.instances(db) == ["a"]
    db.execute("PRAGMA max_page_count=1000000")
    with database.transaction(db):
        writing.add_samples(db, "b", [SAMPLE])
    assert queries.instances(db) == ["a", "b"]


def test_a_killed_writer_loses_nothing_that_was_committed(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from decimal import Decimal\n"
        "from manager.monitor.history import database, queries, writing\n"
        "from manager.monitor.history.model import Sample\n"
        "db, _ = database.open_for_writing(Path(sys.argv[1])); number = len(queries.samples(db, 'a'))\n"
        "while True:\n"
        "    with database.transaction(db):\n"
        "        writing.add_samples(db, 'a', [Sample(float(number), 'running', pnl=Decimal(number))])\n"
        "        writing.put_fact(db, 'count', number + 1)\n"
        "    number += 1; print(number, flush=True)\n"
    )
    root = Path(database.__file__).resolve().parents[3]
    told = 0
    for _time in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        told = int(writer.stdout.readline())
        time.sleep(0.1)
        os.kill(writer.pid, signal.SIGKILL)
        told = max([told, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        with database.reading(path) as db:
            count = len(queries.samples(db, "a"))
            assert count >= told
            assert queries.fact(db, "count") == count
    _db, aside = database.open_for_writing(path)
    assert aside is None


def test_age_and_size_are_bounded_and_trades_stay(path: Path) -> None:
    db = opened(path)
    writing.add_trades(db, [TRADE])
    with database.transaction(db):
        writing.add_samples(db, "a", [SAMPLE._replace(at=1000.0 * at) for at in range(40_000)])
        writing.add_events(db, [Event(5.0, "a", "exit")])
    writing.prune(db, 1_000_000.0, 1 << 30)
    assert queries.samples(db, "a")[0].at == 1_000_000.0
    assert queries.events(db, "a") == []
    writing.prune(db, 0.0, 1 << 20)
    kept = queries.samples(db, "a")
    assert writing._used(db) <= 1 << 20
    assert kept[-1].at == 39_999_000.0
    assert len(kept) > 1000
    assert queries.trades(db, ["bp_sol_01"]) == [TRADE]
    for _time in range(20):
        writing.prune(db, 0.0, 1 << 20)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < 2 << 20


def test_a_reader_beside_the_writer_waits_for_nobody(path: Path) -> None:
    db = opened(path)
    writing.add_samples(db, "a", [SAMPLE])
    with database.transaction(db):
        writing.add_samples(db, "b", [SAMPLE])
        with database.reading(path) as reader:
            assert queries.instances(reader) == ["a"]


def test_the_end_of_each_run_is_found_without_reading_all(tmp_path: Path) -> None:
    db, _aside = database.open_for_writing(tmp_path / "history.db")
    runs: dict[float, list[str | None]] = {0.0: ["1", "5"], 100.0: ["-2", None], 200.0: ["3", "4"]}
    samples = [
        Sample(
            run + number,
            "running",
            run=run,
            kind="live",
            quote="USDC",
            pnl=None if pnl is None else Decimal(pnl),
        )
        for run, amounts in runs.items()
        for number, pnl in enumerate(amounts, start=1)
    ]
    writing.add_samples(db, "a", samples)
    ends = queries.run_ends(db, "a")
    assert [end.pnl for end in ends] == [Decimal("4"), Decimal("-2"), Decimal("5")]
    assert curve.of_runs(ends) == {("live", "USDC"): Decimal("7")}
    assert queries.run_ends(db, "b") == []
    writing.add_samples(db, "b", [sample._replace(run=None) for sample in samples])
    assert [end.pnl for end in queries.run_ends(db, "b")] == [Decimal("4")]


def test_a_run_from_ahead_of_the_clock_counts_once(path: Path) -> None:
    """A clock that was set back has dated its begin so: what it earned was added twice."""
    db = opened(path)
    with database.transaction(db):
        ahead = [
            SAMPLE._replace(at=at, run=run) for at, run in ((80.0, 600.0), (100.0, 500.0), (160.0, 500.0))
        ]
        writing.add_samples(db, "bp_sol_01", [SAMPLE._replace(at=60.0, run=50.0), *ahead])
    assert [sample.at for sample in queries.run_ends(db, "bp_sol_01")] == [160.0, 80.0, 60.0]


def test_what_was_filled_in_is_not_what_was_seen_last(path: Path) -> None:
    """It has no state: each start of `watch` would tell of one that begins."""
    db = opened(path)
    with database.transaction(db):
        filled = SAMPLE._replace(at=200.0, state="", from_bot=True)
        writing.add_samples(db, "bp_sol_01", [SAMPLE, filled])
    last = queries.last_sample(db, "bp_sol_01")
    assert last is not None
    assert last.at == SAMPLE.at
