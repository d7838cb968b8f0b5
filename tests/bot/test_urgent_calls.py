"""The look at a fill and the order that answers it wait for no pause between calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bot.kits.aster import Aster
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter

RTT_S = 0.08
# ccxt 4.5.90's own: milliseconds between two calls of weight 1.
PACES = {Aster: 333, Lighter: 1000}


class Timed:
    """Time of the exchange's that passes only in requests and in pauses between them."""

    def __init__(self, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kit, self.paused, self.calls = kit, 0.0, list[str]()
        kit.api.milliseconds = lambda: int(kit.now * 1000)
        carry_out = kit.api.fetch

        def fetch(url: tuple[str, dict[str, Any]], method: str = "GET", *rest: Any) -> Any:
            self.calls.append(f"{method} {url[0].split('/')[-1]}")
            kit.now += RTT_S
            return carry_out(url, method, *rest)

        kit.api.fetch = fetch
        monkeypatch.setattr("gridbot.exchanges.ccxt_calls.time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.paused += seconds
        self.kit.now += seconds


@pytest.mark.parametrize("kind", [Aster, Lighter])
def test_a_fill_is_answered_after_one_call(
    kind: type[Kit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = kind()
    run = Run(kit, tmp_path)
    for _ in range(8):
        run.tick()
    run.engine._pace = kit.adapter._pace
    kit.api.rateLimit = PACES[kind]
    timed = Timed(kit, monkeypatch)
    run.engine.tick()
    kit.book.move(kit.book.price - 1)
    began, before = kit.now, set(kit.book.orders)
    timed.paused, timed.calls = 0.0, []
    at: list[float] = []
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        answered = carry_out(path, method, params)
        if set(kit.book.orders) - before and not at:
            at.append(kit.now)
        return answered

    kit.answer = answer  # type: ignore[method-assign]
    run.engine.react()
    # The look, and the order on its way.
    assert at[0] - began == pytest.approx(2 * RTT_S)
    assert [call.split()[0] for call in timed.calls[:2]] == ["GET", "POST"]
    left_out = run.kit.adapter._owed_s
    assert left_out > 0.2
    run.engine.tick()
    assert timed.paused >= left_out, "what was left out is made up for"
    kit.api.rateLimit = 0
    run.end()


def test_more_than_two_seconds_are_never_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Lighter()
    kit.api.rateLimit = 1000
    timed = Timed(kit, monkeypatch)
    with kit.adapter._pace.urgent():
        for _ in range(6):
            kit.adapter.open_orders()
    assert kit.adapter._owed_s <= 2
    assert timed.paused > 2


def test_a_clock_that_was_set_back_stops_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    kit = Lighter()
    kit.api.rateLimit = 1000
    timed = Timed(kit, monkeypatch)
    kit.adapter.open_orders()
    kit.now -= 3600
    kit.adapter.open_orders()
    assert timed.paused == pytest.approx(1)
