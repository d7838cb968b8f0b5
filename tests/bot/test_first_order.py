"""Which failed checks keep a run from its first order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.config import args
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.check import Check, Level
from gridbot.model.errors import RefusedError
from gridbot.model.types import OrderRequest, Side
from gridbot.store.store import Store
from gridbot.trading import first_order
from gridbot.trading.preflight import KEYS_REFUSED
from gridbot.trading.session import Session
from tests.bot.worlds import PERP

LINE = (
    "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 100 --grid-upper 140"
    " --grid-num 5 --quantity 1"
)
LIVE = {"TRADING_MODE": "live", "DB_PATH": "unused"}

pytestmark = pytest.mark.usefixtures("live_run")


def require_sound(monkeypatch: pytest.MonkeyPatch, store: Store, code: str, **env: str) -> None:
    failed = Check(code, Level.FAIL, "it will not work", "mend it")
    monkeypatch.setattr(first_order, "read_facts", lambda *_args: None)
    monkeypatch.setattr(first_order, "check_run", lambda *_args: [failed])
    run: Any = store.unfinished_run()
    session = Session(object.__new__(CcxtExchange), PERP, run)
    first_order.require_sound(args.parse(LINE.split(), LIVE), store, session, env)


def test_a_failed_check_keeps_a_run_from_its_first_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError, match=r"pre-flight: it will not work \(mend it\)"):
        require_sound(monkeypatch, store, "funds")
    require_sound(monkeypatch, store, "funds", GRIDBOT_PREFLIGHT="warn")
    store.new_order(OrderRequest("L1", Side.BUY, Decimal(99), Decimal(1)), 0.0)
    require_sound(monkeypatch, store, "funds")


def test_refused_keys_are_left_to_the_first_tick(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with their own exit code 3, and not with 4 as a run that is refused."""
    require_sound(monkeypatch, store, KEYS_REFUSED)
