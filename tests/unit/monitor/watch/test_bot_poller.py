"""What bots say of their trading: read from real sockets, whatever they answer."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from manager.config.fleet import Fleet
from manager.fleet.instance import Instance
from manager.monitor.watch.alert_rules import Progress
from manager.monitor.watch.bot_poller import MUTE_AFTER, BotPoller, Questions
from manager.monitor.watch.shared_look import NO_ANSWERS
from tests.builders import a_container, a_fleet
from tests.unit.monitor.watch.test_alert_rules import a_view

STATUS = {"last_tick_age": 2.5, "trades": 3, "paused": False, "pnl": "-1.25", "quote": "USDC"}


@contextmanager
def answering(*pieces: bytes, pause: float = 0) -> Iterator[tuple[Instance, list[bytes]]]:
    """A bot that answers each request with these pieces, slowly perhaps; its view, and the requests it
    got.
    """
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                requests.append(connection.recv(1000))
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    container = a_container("bp_sol_01", labels={"botfleet.web-port": str(port)})
    try:
        yield a_view()._replace(container=container), requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def ok(body: object) -> bytes:
    return b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(body).encode()


def ask(view: Instance, asker: BotPoller, fleet: Fleet | None = None) -> Progress:
    return asker.ask([view], fleet or a_fleet(), logs=fleet is not None)["bp_sol_01"]


def test_the_bundled_bots_words_are_understood() -> None:
    with answering(ok(STATUS)) as (view, requests):
        asker = BotPoller()
        progress = ask(view, asker)
        again = ask(view, asker)
    assert progress._replace(trade_age=None) == Progress(tick_age=2.5, pnl=Decimal("-1.25"), quote="USDC")
    assert (progress.trade_age, again.trade_age is not None and again.trade_age > 0) == (0, True)
    assert requests[0].startswith(b"GET /api/status HTTP/1.0\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 404 Not Found\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
        ok([1]),
        b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000,
    ],
)
def test_a_bot_of_another_kind_is_soon_left_alone(answer: bytes) -> None:
    with answering(answer) as (view, requests):
        asker = BotPoller()
        assert [ask(view, asker) for _time in range(MUTE_AFTER + 2)] == [Progress()] * (MUTE_AFTER + 2)
        assert len(requests) == MUTE_AFTER


def test_what_was_heard_is_shared_with_the_page_by_container() -> None:
    questions = Questions()
    try:
        with answering(ok(STATUS)) as (view, _requests):
            began = time.monotonic()
            questions.ask_if_due({view.id: view}, a_fleet())
            assert questions.to_share is NO_ANSWERS, "nobody has answered yet"
            assert questions._asked is not None
            questions._asked.result(60)
            questions.ask_if_due({view.id: view}, a_fleet())
    finally:
        questions.close()
    assert view.container is not None
    assert began <= questions.to_share.asked_at <= time.monotonic()
    assert questions.to_share.reports[view.container.id].pnl == Decimal("-1.25")


def test_a_bot_that_has_talked_is_asked_for_ever() -> None:
    asker = BotPoller()
    with answering(ok(STATUS)) as (view, _requests):
        assert ask(view, asker).tick_age == 2.5
    with answering(b"") as (other, requests):
        silent = view._replace(container=other.container)
        assert [ask(silent, asker) for _time in range(MUTE_AFTER + 2)] == [Progress()] * (MUTE_AFTER + 2)
        assert len(requests) == MUTE_AFTER + 2


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"HTTP/1.0 200 OK\r\n\r\n" + b" " * (1 << 19)])
def test_an_answer_without_sense_is_none(answer: bytes) -> None:
    with answering(answer) as (view, _requests):
        assert ask(view, BotPoller()) == Progress()


def test_values_of_a_wrong_kind_are_not_believed() -> None:
    odd = {"last_tick_age": "soon", "trades": "many", "paused": 1, "pnl": True, "quote": "\x1b[31m"}
    with answering(ok(odd)) as (view, _requests):
        assert ask(view, BotPoller()) == Progress()


def test_a_bot_that_answers_a_byte_a_second_holds_nobody_up() -> None:
    with answering(*[b"x"] * 10_000, pause=0.3) as (view, requests):
        assert ask(view, BotPoller()) == Progress()
        assert len(requests) == 1


def test_the_age_of_the_log_is_the_youngest_files(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "bp_sol_01" / time.strftime("%Y-%m-%d")
    folder.mkdir(parents=True)
    for name, age in (("bot_stdout.log", 500), ("bot_stderr.log", 90)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    view = a_view()._replace(container=a_container("bp_sol_01", labels={"botfleet.web-port": "1"}))
    progress = ask(view, BotPoller(), a_fleet(data_dir=tmp_path))
    assert progress.log_age is not None
    assert 80 < progress.log_age < 200
