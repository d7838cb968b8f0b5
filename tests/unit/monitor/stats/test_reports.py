"""What bots say of themselves, the hostile ones too. The servers are real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal, Inexact, Rounded, Underflow, localcontext
from pathlib import Path
from typing import Any

import pytest

from manager.fleet import bot_report
from manager.fleet.bot_report import Report
from manager.monitor.stats import reports
from manager.monitor.stats.reports import MAX_BYTES

Behaviour = Callable[[socket.socket], None]


def answer(body: object, head: str = "HTTP/1.0 200 OK") -> bytes:
    return f"{head}\r\nContent-Type: application/json\r\n\r\n{json.dumps(body)}".encode()


@contextmanager
def a_bot(behave: Behaviour) -> Iterator[tuple[str, int]]:
    """A port on which a bot behaves in this way, once it has read the request."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _peer = server.accept()
                with connection:
                    connection.recv(4096)
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()
    thread.join(5)


def says(data: bytes) -> Behaviour:
    return lambda connection: connection.sendall(data)


def hangs(connection: socket.socket) -> None:
    connection.recv(1)  # until the reader goes away


def drips(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.01)


def floods(connection: socket.socket) -> None:
    while True:
        connection.sendall(b" " * 65536)


def test_who_hangs_or_lies_does_not_keep_the_others_from_being_heard() -> None:
    behaviours: dict[str, Behaviour] = {
        "good": says(answer({"pnl": "1.5", "quote": "USDC"})),
        "late": hangs,
        "slow": drips,
        "endless": floods,
        "closed": lambda connection: None,
        "no http": says(b"\x00\x01\x02"),
        "unwell": says(answer({"pnl": 1}, "HTTP/1.0 503 Service Unavailable")),
        "a list": says(answer([1, 2])),
        "nested": says(b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000),
        "also good": says(answer({"position": -2, "base": "SOL"})),
    }
    with ExitStack() as bots, socket.create_server(("127.0.0.1", 0)) as deaf:
        there = {name: bots.enter_context(a_bot(behave)) for name, behave in behaviours.items()}
        there["deaf"] = deaf.getsockname()  # takes connections, and never one from its queue
        there["nobody"] = ("127.0.0.1", 1)
        there["nowhere"] = ("no address", 1)
        fetched = reports.fetch_reports(there, timeout=1.0)
    assert fetched == {
        "good": Report(pnl=Decimal("1.5"), quote="USDC"),
        "also good": Report(position=Decimal(-2), base="SOL"),
    }


@pytest.mark.parametrize("section", ["## What a bot may report", "## Contract 2"])
def test_the_contracts_examples_are_understood_whole(section: str) -> None:
    readme = (Path(__file__).parents[4] / "docker/README.md").read_text()
    sample = json.loads(readme.partition(section)[2].split("```json")[1].split("```")[0])
    names = {"last_tick_age": "tick_age", "paused": "is_paused", "final": "is_final"}
    parsed = bot_report.parse_report(sample)._asdict()
    understood = {names.get(key, key) for key in sample} & set(Report._fields)
    assert [key for key in understood if parsed[key] is None] == []
    assert {names.get(key, key) for key in sample} - understood <= {"range"}


def test_an_answer_that_is_whole_is_heard_before_the_connection_ends() -> None:
    body = json.dumps({"pnl": "1.5"}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"

    def stays(connection: socket.socket, length: int) -> None:
        connection.sendall(head % length + body)
        hangs(connection)

    with (
        a_bot(lambda connection: stays(connection, len(body))) as whole,
        a_bot(lambda connection: stays(connection, len(body) + 1)) as short,
    ):
        assert reports.fetch_reports({"whole": whole}, 60.0) == {"whole": Report(pnl=Decimal("1.5"))}
        assert reports.fetch_reports({"short": short}, 0.2) == {}


def test_a_large_answer_comes_whole() -> None:
    orders = [{"side": "buy", "price": "1"}] * 2000
    with a_bot(says(answer({"open_orders": orders}))) as there:
        assert reports.fetch_reports({"one": there})["one"].open_orders == 2000
    with a_bot(says(answer({"trades": 1, "padding": "x" * MAX_BYTES}))) as there:
        assert reports.fetch_reports({"one": there}) == {}


def test_nobody_to_ask() -> None:
    assert reports.fetch_reports({}) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12, Decimal(12)),
        (-0.5, Decimal("-0.5")),
        ("0.00000001", Decimal("0.00000001")),
        ("-1e3", Decimal(-1000)),
        (0, Decimal(0)),
        (None, None),
        (True, None),
        ("", None),
        ("twelve", None),
        ("NaN", None),
        (float("inf"), None),
        ("1e400", None),
        (-1.3877787807814457e-17, Decimal("-1.3877787807814457e-17")),
        ("1e-999999999", None),
        ("0e-999999999999999999", None),
        (10**400, None),
        ("1" * 41, None),
        ("١٢", None),
        ([1], None),
        ({"value": 1}, None),
    ],
)
def test_amounts(value: Any, expected: Decimal | None) -> None:
    assert bot_report.parse_report({"pnl": value, "position": value}) == Report(
        pnl=expected, position=expected
    )


def test_amounts_do_not_obey_the_decimal_context() -> None:
    # ccxt tells the thread's context to raise on an underflow.
    with localcontext() as context:
        context.traps[Underflow] = context.traps[Inexact] = context.traps[Rounded] = True
        assert bot_report.parse_report({"pnl": "1e-999999999", "position": "0.1"}) == Report(
            position=Decimal("0.1")
        )


@pytest.mark.parametrize("value", ["\x1b[2J", "US DC", "", "X" * 13, "USDC\n", 7, None, ["USDC"], "元"])
def test_a_currency_that_is_none(value: Any) -> None:
    assert bot_report.parse_report({"quote": value, "base": value}) == Report()


def test_counts_and_modes() -> None:
    assert bot_report.parse_report({"open_orders": [1, 2], "trades": 3, "mode": "live"}) == Report(
        open_orders=2, trades=3, mode="live"
    )
    assert bot_report.parse_report({"open_orders": 4}).open_orders == 4
    assert bot_report.parse_report({"open_orders": -1, "trades": True, "mode": ["live"]}) == Report()
    assert bot_report.parse_report({"open_orders": "4", "trades": 1.5, "mode": "LIVE"}) == Report()


def test_not_even_json_constants_are_amounts() -> None:
    assert reports.parse_answer(
        b'HTTP/1.1 200 OK\r\n\r\n{"pnl": NaN, "position": Infinity, "trades": 2}'
    ) == Report(trades=2)
