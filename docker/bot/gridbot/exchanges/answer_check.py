"""Read known answers of an exchange before a live run, and compare what comes out with what must.

`known_answers` has a file for each exchange: answers of its shape (tests/bot/kits has them, too) and, written
by hand, what they say. They go through ccxt's class of the exchange and the adapter that trades, so that
another ccxt or a reader that is broken is noticed before it costs money. Nothing is sent.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.exchanges.values import decimal
from gridbot.exchanges.venues import VENUES
from gridbot.model.errors import BotError
from gridbot.model.types import ZERO, Order, Side

FOLDER = Path(__file__).with_name("known_answers")
# What signs in ccxt's classes, or asks the exchange for what it needs to sign: -> what does it here.
SIGNERS: Mapping[str, Callable[..., Any]] = {
    "authenticate_rest": lambda *_: "token",
    "create_auth": lambda *_: "token",
    "get_zk_contract_signature_obj": lambda *_: "signature",
    "lighter_sign_create_order": lambda _signer, order: (14, order),
    "load_account": lambda *_, **__: None,
    "sign_order_request": lambda request: request,
}


def difference(settings: Settings) -> str | None:
    """Return what is first read otherwise than it must be, None where all of it is read well."""
    answer = "any answer"
    try:
        known = load(settings)
        reader = KnownExchange(settings, known)
        for case in known["cases"]:
            answer = case["answer"]
            if what := differing(case["must"], reader.read(case)):
                return f"{answer}: {what}"
    except BotError:
        raise  # there is no ccxt, say
    except Exception as err:  # noqa: BLE001 - another ccxt may raise whatever it likes
        return f"cannot read {answer} ({type(err).__name__}: {err})"
    return None


def load(settings: Settings) -> Mapping[str, Any]:
    """Return the known answers of the run's exchange and kind of market."""
    with (FOLDER / f"{settings.exchange}.json").open(encoding="utf-8") as file:
        known: Mapping[str, Any] = json.load(file)["perp" if settings.perp else "spot"]
    return known


def installed_version() -> str:
    """Return the version of the ccxt that is installed."""
    try:
        return str(importlib.import_module("ccxt.base.exchange").__version__)
    except Exception:  # noqa: BLE001 - a ccxt that cannot be imported is why live is refused
        return "?"


class KnownExchange(CcxtExchange):
    """Stand for the adapter that trades, on an exchange that gives known answers; no keys, no network."""

    def __init__(self, settings: Settings, known: Mapping[str, Any]) -> None:
        credentials = dict.fromkeys(VENUES[settings.exchange].keys, "1") | known.get("account", {})
        super().__init__(replace(settings, symbol=known["market"]["id"]), credentials, {})
        api, now_ms = self._api, int(known["now"] * 1000)
        self._now, self._given = float(known["now"]), dict[str, Any]()
        self._sent: Mapping[str, Any] = {}
        self._clock_read_at = float("inf")  # it is not asked for its time
        api.milliseconds, api.rateLimit = lambda: now_ms, 0
        api.set_markets([api.safe_market_structure(known["market"])])
        self._raw = api.markets[known["market"]["symbol"]]
        for name, sign in SIGNERS.items():
            if hasattr(api, name):
                setattr(api, name, sign)
        api.sign = self._sign
        api.fetch = self._fetch

    def read(self, case: Mapping[str, Any]) -> Sequence[Any]:
        """Return what the adapter makes of the answers of one case, in rows."""
        self._given = case["given"]
        orders = [_order(one) for one in case.get("orders", ())]
        match case["call"]:
            case "place":
                return [{"id": self.place(orders[0]), **self._sent}]
            case "open_orders":
                return self.open_orders()
            case "find":
                return [row for _, row in self.find(orders)]
            case "fills":
                return self.fills(self._now - 3600)
            case "position":
                return [{"net": self.position()}]
            case "holdings":
                return [{"held": self.holdings()}]
        raise ValueError(case["call"])

    def _sign(self, path: str, _api: Any, method: str, params: Mapping[str, Any], *_: Any) -> dict[str, Any]:
        self._sent = {f"sent {name}": value for name, value in params.get("tx_info", params).items()}
        return {"url": path, "method": method, "body": None, "headers": None}

    def _fetch(self, url: str, method: str = "GET", *_: Any, **__: Any) -> Any:
        if url not in self._given:
            raise self._errors.OrderNotFound(f"there is no known answer to {url}")
        answer = json.loads(json.dumps(self._given[url]))  # ccxt writes into some
        self._api.last_json_response = answer
        self._api.handle_errors(200, "", url, method, {}, "", answer, {}, None)
        return answer


def _order(terms: Mapping[str, Any]) -> Order:
    side, price, qty = Side(terms["side"]), Decimal(terms["price"]), Decimal(terms["qty"])
    more = {key: value for key, value in terms.items() if key not in ("side", "price", "qty")}
    return Order(slot="L1", side=side, price=price, qty=qty, filled=ZERO, state="new", created_at=0.0, **more)


def differing(must: Sequence[Mapping[str, Any]], rows: Sequence[Any]) -> str | None:
    """Return what in these rows is first otherwise than it must be."""
    if len(rows) != len(must):
        return f"{len(rows)} rows instead of {len(must)}"
    for number, (row, fields) in enumerate(zip(rows, must, strict=True), 1):
        if row is None:
            return f"row {number} is not recognised"
        for name, expected in fields.items():
            value = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
            if not _is_same(value, expected):
                why = getattr(row, "why", "")
                return f"{name} is {value} instead of {expected}" + (f" ({why})" if why else "")
    return None


def _is_same(value: Any, expected: Any) -> bool:
    if isinstance(value, Decimal | float):
        return decimal(expected) == decimal(value)
    if isinstance(value, str) and isinstance(expected, str) and decimal(expected) is not None:
        return decimal(expected) == decimal(value)
    return bool(value == expected)
