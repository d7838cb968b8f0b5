"""A fill that an exchange's websocket tells of wakes the loop; through ccxt's own classes."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from typing import Any

import pytest

from gridbot.exchanges.stream import FillStream, _load
from gridbot.model.types import ToldFill
from tests.bot import sockets
from tests.bot.sockets import Dialect, SocketServer

DIALECTS = (
    sockets.AsterSocket,
    sockets.AsterSpotSocket,
    sockets.ParadexSocket,
    sockets.LighterSocket,
    sockets.ApexSocket,
)


async def _token(*_: Any) -> str:
    return "token"


def test_a_socket_that_is_there_and_says_nothing_can_be_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """By apex's own pings it is never known to be half open: ccxt takes them for the answer."""
    spoken, words = sockets.ApexSocket(), queue.Queue[ToldFill]()
    kit = spoken.kit()
    monkeypatch.setattr("gridbot.exchanges.stream.RETRY_FIRST_S", 0.05)
    with SocketServer(spoken) as server:
        url = f"ws://127.0.0.1:{server.port}{spoken.path}"
        stream = FillStream(kit.name, kit.keys, url, lambda: None, {}, words.put)
        stream.reopen()  # not begun: nothing to open anew
        stream.start(kit.api.markets, kit.adapter.market_symbol)
        try:
            for turn in range(2):
                assert server.listens.wait(60)
                assert server.opened == turn + 1
                server.fill()
                assert words.get(timeout=60) == sockets.SOLD
                assert stream.heard_at > 0
                server.go_silent()
                stream.reopen()
            assert server.listens.wait(60)
        finally:
            stream.stop()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.__name__)
def test_a_fill_wakes_the_loop_also_after_a_cut(
    dialect: type[Dialect], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken, woken, words = dialect(), threading.Event(), queue.Queue[ToldFill]()
    told = replace(sockets.SOLD, side=None) if dialect is sockets.ParadexSocket else sockets.SOLD
    kit = spoken.kit()
    monkeypatch.setattr(_load("paradex"), "authenticate_rest", _token)
    monkeypatch.setattr("gridbot.exchanges.stream.RETRY_FIRST_S", 0.05)
    with SocketServer(spoken) as server:
        url = f"ws://127.0.0.1:{server.port}{spoken.path}"
        env = {f"{kit.name.upper()}_API_URL": f"http://127.0.0.1:{server.port}"}
        stream = FillStream(kit.name, kit.keys, url, woken.set, env, words.put)
        stream.start(kit.api.markets, kit.adapter.market_symbol)
        try:
            for _ in range(2):
                assert server.listens.wait(60)
                # What the socket tells when it opens may wake it, too.
                server.fill()
                assert words.get(timeout=60) == told
                assert woken.wait(60)
                assert words.empty(), "it was told once"
                server.cut()
                woken.clear()
            assert server.opened >= 2
        finally:
            stream.stop()
