"""Backtests: the same decisions as live, exact amounts, and an independent calculation of both."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import time
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.cli.backtest import main
from gridbot.exchanges.recording import read_recording
from gridbot.model.errors import ConfigError
from gridbot.trading.backtest import MOST_FILLS, POINTS, Thinned

D = Decimal
LINE = (
    "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 100 --grid-upper 140"
    " --grid-num 5 --quantity 0.1 --grid-type long --tick 0.01 --lot 0.1"
)


def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], *more: str) -> dict[str, Any]:
    data = tmp_path / "data.csv"
    data.write_text("\n".join(rows) + "\n")
    code = main([*LINE.split(), "--data", str(data), "--json", *more])
    output = capsys.readouterr()
    assert code == 0, output.err
    answer: dict[str, Any] = json.loads(output.out)
    return answer


def test_two_round_trips_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Levels 100, 110 … 140. At 121 buys stand at 110 and 100 (the one at 120 is too near)."""
    prices = ["121", "109.5", "120.5", "109.5", "120.5", "109.5"]
    rows = ["time,price", *(f"{1_700_000_000 + 3600 * i},{price}" for i, price in enumerate(prices))]
    answer = run(tmp_path, capsys, rows, "--maker-fee", "0.0002", "--funding-rate", "0.0001")
    # Five fills: buys at 110 (three), sells at 120 (two), 0.1 each.
    assert (answer["trades"], answer["round_trips"], answer["position"]) == (5, 2, "0.1")
    assert D(answer["realized"]) == 2 * D("0.1") * (120 - 110)
    assert D(answer["fees"]) == D("0.0002") * D("0.1") * (3 * 110 + 2 * 120)
    assert D(answer["unrealized"]) == D("0.1") * (D("109.5") - 110)
    # 1,700,000,000 is 22:13:20 UTC, so midnight is passed between the second row and the third, when 0.1 was
    # held and the price of the third was 120.5: the payment is for what is held before that row's fills.
    assert D(answer["funding"]) == -D("0.1") * D("120.5") * D("0.0001")
    assert D(answer["pnl"]) == D("2") - D("0.0114") + D("-0.05") + D("-0.001205")
    assert (answer["from"], answer["to"], answer["maker_share"]) == (1_700_000_000, 1_700_018_000, "1")


# 1,700,000,000 is 22:13:20 UTC: midnight, when funding is paid, is passed with the third row.
HOURS = [1_700_000_000 + 3600 * i for i in range(6)]
HELD = ["121", "109.5", "120.5", "109.5", "120.5", "109.5"]


@pytest.mark.parametrize(
    ("rates", "options", "paid"),
    [
        (["0.0001", "0.0002", "0.0005", "0.0009", "", ""], [], "0.0005"),
        (["", "-0.0003", "", "0.0009", "", ""], [], "-0.0003"),
        (["", "", "", "0.0009", "", ""], [], "0"),
        (["0.0001"] * 6, ["--funding-rate", "-0.0002"], "-0.0002"),
        (["0.0001"] * 6, ["--funding-rate", "0"], "0"),
    ],
    ids=["of that row", "the last one said", "none said yet", "an option", "an option of 0"],
)
def test_funding_is_paid_by_the_recordings_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rates: list[str], options: list[str], paid: str
) -> None:
    lines = [f"{at},{price},{rate}" for at, price, rate in zip(HOURS, HELD, rates, strict=True)]
    answer = run(tmp_path, capsys, ["time,price,Funding_Rate", *lines], *options)
    assert D(answer["funding"]) == -D("0.1") * D("120.5") * D(paid)
    # Two exits of 10 a unit, what is held is 0.5 a unit down, and fees are the bot's own 2 of 10,000.
    assert D(answer["pnl"]) == D(2) - D("0.05") - D("0.0114") + D(answer["funding"])


def test_a_rebate_is_earned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["time,price", *(f"{at},{price}" for at, price in zip(HOURS, HELD, strict=True))]
    answer = run(tmp_path, capsys, rows, "--maker-fee=-0.0001")
    assert D(answer["fees"]) == -D("0.0001") * D("0.1") * (3 * 110 + 2 * 120)
    assert D(answer["pnl"]) == D(2) - D("0.05") + D("0.0057")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--taker-fee 1.5", "--taker-fee: is a share, and 1.5 is 150 %; 0.0005 is 0.05 %"),
        ("--maker-fee=-2", "--maker-fee: is a share, and -2 is -200 %; 0.0005 is 0.05 %"),
        ("--funding-rate 5", "--funding-rate: is a share, and 5 is 500 %; 0.0005 is 0.05 %"),
        ("--market-spread 3", "--market-spread: is a share of the price, from 0 to below 1, not 3"),
        ("", "data.csv:2: not a funding rate as a share (0.0001 is 0.01 %): 0.5"),
    ],
)
def test_percent_are_no_shares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, why: str
) -> None:
    (tmp_path / "data.csv").write_text("time,price,funding\n1,121,0.5\n2,122,\n")
    assert main([*LINE.split(), "--data", str(tmp_path / "data.csv"), *options.split()]) == 2
    assert capsys.readouterr().err.removeprefix(f"{tmp_path}/") == f"{why}\n"


def test_a_spot_market_pays_no_funding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.csv").write_text("price\n121\n122\n")
    spot = LINE.replace("_PERP", "").replace("perp_grid", "grid").split()
    assert main([*spot, "--data", str(tmp_path / "data.csv"), "--funding-rate", "0.0001"]) == 2
    (tmp_path / "data.csv").write_text("time,price,funding_rate\n1,121,0.01\n40000,122,0.01\n")
    assert capsys.readouterr().err == "--funding-rate: a spot market pays no funding\n"
    assert main([*spot, "--data", str(tmp_path / "data.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["funding"] == "0"


def independent(prices: list[int]) -> tuple[int, int, int, int]:
    """Return trades, cash, fees and units held of that grid on `prices`, in whole cents and tenths.

    Written without the bot: five levels, four cells that buy low and sell high, one unit (0.1) each. Amounts
    are in 1e-8, a fee is 2 of 10,000 of a fill's value.
    """
    levels = [10_000, 11_000, 12_000, 13_000, 14_000]
    held, buying = [False] * 4, [False] * 4
    trades = cash = fees = 0
    for price in prices:
        for cell in range(4):
            value = None
            if held[cell] and price > levels[cell + 1]:
                value, held[cell] = levels[cell + 1], False
                cash += value * 100_000
            elif buying[cell] and price < levels[cell]:
                value, held[cell], buying[cell] = levels[cell], True, False
                cash -= value * 100_000
            if value is not None:
                trades += 1
                fees += value * 100_000 * 2 // 10_000
        for cell in range(4):
            if not held[cell] and not buying[cell] and 2 * price >= levels[cell] + levels[cell + 1]:
                buying[cell] = True
    return trades, cash, fees, sum(held)


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_equals_an_independent_calculation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    chance, price, prices = random.Random(seed), 12_100, []
    for _ in range(3000):
        price = min(max(price + chance.choice((-180, -75, -30, 30, 75, 180)), 9_600), 14_400)
        # A price on a level or a middle would test the tie rules too, which the sums by hand do.
        prices.append(price + 1 if price % 500 == 0 else price)
    rows = ["price", *(f"{cents / 100:.2f}" for cents in prices)]
    answer = run(tmp_path, capsys, rows)
    trades, cash, fees, units = independent(prices)
    assert answer["trades"] == trades > 15
    assert D(answer["position"]) == D(units) / 10
    assert D(answer["fees"]) == D(fees) / 10**8
    assert D(answer["pnl"]) == D(cash - fees) / 10**8 + D(units) / 10 * D(prices[-1]) / 100


def test_the_clock_is_the_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["timestamp,close", *(f"{1_700_000_000_000 + 60_000 * i},121" for i in range(100))]
    began = time.monotonic()
    answer = run(tmp_path, capsys, rows, "--duration", "600")
    assert time.monotonic() - began < 30
    assert (answer["rows"], answer["ended_by"]) == (11, "duration of 600 s is over")
    rows = [
        "date,open,high,low,close",
        "2025-11-30T00:00:00,121,122,109,120.5",
        "2025-11-30T01:00:00,121,131,109,125",
    ]
    answer = run(tmp_path, capsys, rows)
    assert answer["to"] - answer["from"] == 3600
    # The nearer extreme comes first. From 121 to 125 that is the low: 109 fills the buy at 110, and when the
    # row is over its exit at 120 is below the price, so it takes.
    assert (answer["trades"], answer["maker_share"], answer["position"]) == (2, "0.5", "0")


def test_a_stop_loss_closes_at_the_market(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["price", "121", "105", "101", "101"]
    answer = run(tmp_path, capsys, rows, "--stop-loss", "0.8", "--market-spread", "0.0004")
    assert answer["ended_by"].startswith("stop loss: P&L")
    assert (answer["rows"], answer["position"], answer["maker_share"]) == (3, "0", "0.5")
    # Bought at 110, sold at 101 less half a spread of 0.0202, rounded up to the tick.
    assert D(answer["realized"]) == D("0.1") * (D(101) - D("0.03") - 110)


def test_touched_orders_are_filled_by_who_is_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["price", "121", "110"]
    assert run(tmp_path, capsys, rows)["trades"] == 0
    assert run(tmp_path, capsys, rows, "--queue", "first")["trades"] == 1


def test_the_picture_shows_prices_trades_and_profit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "run.svg"
    run(tmp_path, capsys, ["price", "121", "109", "121"], "--svg", str(picture))
    root = ET.fromstring(picture.read_text())
    names = [element.tag.rpartition("}")[2] for element in root]
    assert (names.count("polyline"), names.count("circle")) == (2, 2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["time|price", "1|2"], "no column price or close; the first line is: time|price"),
        (["1700000000,121"], "no column price or close; the first line is: 1700000000,121"),
        (["fill time,price", "1,2"], "no column time; if fill_time is that, call it so"),
        (
            ["open,high,low,close", "121,130,120,131"],
            "data.csv:2: low 120 and high 130 do not enclose open 121 and close 131",
        ),
        (["a,b", "1,2"], "no column price or close"),
        (["price"], "no rows"),
        (["price", "1", "x"], "data.csv:3: not a price, or not a time"),
        (["time,price", "5,1", "4,1"], "data.csv:3: earlier than the row before"),
        (["time,price", "soon,1"], "data.csv:2: not a price, or not a time"),
        (["time,price", "inf,1"], "data.csv:2: not a price, or not a time"),
        (["time,price", "5,1", "nan,1"], "data.csv:3: not a price, or not a time"),
        (["open,high,low,close", "121,100,130,120"], "data.csv:2: low 130 and high 100 do not enclose"),
        (["price", *["121"] * 2000, "x"], "data.csv:2002: not a price, or not a time"),
    ],
)
def test_a_recording_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], message: str
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("\n".join(rows) + "\n")
    assert main([*LINE.split(), "--data", str(data)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["time", "Open time", "TIMESTAMP", "ts", "unix", "close_time"])
@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
def test_a_column_of_times_is_no_row_count(name: str, unit: int, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text(f"price,{name}\n121,{1_700_000_000 * unit}\n")
    assert next(read_recording(data, 1.0)) == (1_700_000_000.0, [D(121)], None)


def test_a_compressed_recording_is_read_and_a_broken_one_named(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    packed = gzip.compress(b"price\n" + b"121\n" * 9)
    data.write_bytes(packed)
    assert len(list(read_recording(data, 1.0))) == 9
    for broken in (packed[:-9], packed[:20] + b"x" * 9 + packed[29:], "price\n1\n".encode("utf-16")):
        data.write_bytes(broken)
        with pytest.raises(ConfigError, match=r"cannot read .*data\.csv: "):
            list(read_recording(data, 1.0))


def test_a_year_of_minutes_takes_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At 21 levels 20,000 rows a second are promised on an idle core; a loaded machine gets a margin."""
    chance, price, rows = random.Random(1), 15_000, ["price"]
    for _ in range(20_000):
        price = min(max(price + chance.choice((-40, -20, -10, 0, 10, 20, 40)), 13_900), 16_100)
        rows.append(f"{price / 100:.2f}")
    levels = ("--grid-lower", "140", "--grid-upper", "160", "--grid-num", "21", "--grid-type", "neutral")
    began = time.process_time()
    answer = run(tmp_path, capsys, rows, *levels)
    assert answer["trades"] > 200
    assert time.process_time() - began < 12, (
        "1 s on an idle core; processors of shared machines are slow at times"
    )


def test_a_recording_may_be_larger_than_the_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the rows are kept nor all points of the curve and trades, which are one a row here."""
    data = tmp_path / "data.csv"
    data.write_text("price\n121\nx\n")
    assert next(read_recording(data, 1.0)) == (0.0, [D(121)], None)
    picture = tmp_path / "run.svg"
    answer = run(tmp_path, capsys, ["price", *["109.5", "120.5"] * 3000], "--svg", str(picture))
    assert answer["trades"] > 5900
    shown = picture.read_text()
    assert 1000 < shown.count("<circle") <= MOST_FILLS
    assert 1000 < len(shown.partition('points="')[2].partition('"')[0].split()) <= POINTS + 1


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 1000, 1025])
def test_what_is_thinned_out_stays_evenly_spread(count: int) -> None:
    thinned = Thinned[int](10)
    for number in range(count):
        thinned.add(number)
    kept = thinned.kept
    assert len(kept) == count or 5 <= len(kept) <= 10
    assert kept[:1] == list(range(count))[:1]
    assert len({later - earlier for earlier, later in itertools.pairwise(kept)}) <= 1


@pytest.mark.parametrize("head", ["time,open,close", "close,time", "TIME , Close"])
def test_columns_may_be_missing_or_in_any_order(
    head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"time": "1700000000", "open": "121", "close": "122"}
    line = ",".join(values[name.strip().lower()] for name in head.split(","))
    answer = run(tmp_path, capsys, [head, line, "   ", ""])
    assert (answer["rows"], answer["first_price"]) == (1, "122")


@pytest.mark.parametrize("options", [["--market-type", "spot"], ["--funding-rate", "0.0001"]])
def test_a_column_of_rates_that_does_not_count_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    line = LINE.replace("perp_grid", "grid").replace("_PERP", "") + " --market-type perp"
    (tmp_path / "data.csv").write_text("time,price,funding\n1,121,12.5\n2,122,0.01%\n")
    assert main([*line.split(), "--data", str(tmp_path / "data.csv"), *options]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "time;open;high;low;close\n1704067200;150;151;149;150.5\n",
        "time\topen\thigh\tlow\tclose\r\n1704067200\t150\t151\t149\t150.5\r\n",
        "date,open,high,low,close,funding_rate\n20240101,150,151,149,150.5,nan\n",
        "date,open,high,low,close,funding_rate\n202401010000,150,151,149,150.5,None\n",
        "\ufeffdate,open,high,low,close\n20240101000000,150,151,149,150.5\n",
    ],
)
def test_files_as_programs_write_them_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.csv").write_text(text)
    [row] = read_recording(tmp_path / "data.csv", 1.0)
    assert row == (1_704_067_200.0, [D(150), D(149), D(151), D("150.5")], None)


def test_a_bar_that_does_not_fit_says_so(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("time,open,high,low,close\n1,150,147,149,151\n")
    with pytest.raises(ConfigError, match=":2: low 149 and high 147 do not enclose open 150 and close 151"):
        list(read_recording(tmp_path / "data.csv", 1.0))
