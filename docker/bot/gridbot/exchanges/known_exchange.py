"""Stand for an exchange that gives known answers, behind the adapter that trades. Nothing is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.exchanges.closing import CcxtClosing
from gridbot.exchanges.venues import VENUES
from gridbot.model.errors import ExchangeError
from gridbot.model.types import ZERO, Order, Side

# What signs in ccxt's classes, or asks the exchange for what it needs to sign: -> what does it here.
SIGNERS: Mapping[str, Callable[..., Any]] = {
    "authenticate_rest": lambda *_: "token",
    "create_auth": lambda *_: "token",
    "get_zk_contract_signature_obj": lambda *_: "signature",
    "lighter_sign_cancel_all_orders": lambda _signer, order: (16, order),
    "lighter_sign_cancel_order": lambda _signer, order: (15, order),
    "lighter_sign_create_order": lambda _signer, order: (14, order),
    "load_account": lambda *_, **__: None,
    "sign_order_request": lambda request: request,
}
# What ccxt sends with an order for itself, and what each signature has anew. Whatever else goes with a
# request that acts has to be known: by a field an order may wait, close everything, or pay somebody else.
OF_CCXT = ("to", "in", "brokerId", "expiration", "limitFee", "nonce", "signature")
# Numbers that go out as text are written out: exchanges refuse an exponent, or take it for something else.
EXPONENT = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+")
HOUR_S = 3600
CANCEL_AFTER_S = 600


class StatusError(Exception):
    """Stand for what the HTTP client raises for a status of 400 and above."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.response = SimpleNamespace(status_code=status)


class KnownExchange(CcxtClosing):
    """Stand for the adapter that trades, on an exchange that gives known answers; no keys, no network."""

    nonce_pause_s = 0.0

    def __init__(self, settings: Settings, known: Mapping[str, Any]) -> None:
        credentials = dict.fromkeys(VENUES[settings.exchange].keys, "1") | known.get("account", {})
        super().__init__(replace(settings, symbol=known["market"]["id"]), credentials, {})
        api, now_ms = self._api, int(known["now"] * 1000)
        self._now, self._structure = float(known["now"]), known["market"]
        self._given, self._pages, self._refused = dict[str, Any](), dict[str, list[Any]](), dict[str, Any]()
        self._refused_first = dict[str, Any]()
        self._changes: Mapping[str, Any] | None = None
        self._sent: Mapping[str, Any] = {}
        self._acts: list[Mapping[str, Any]] = []
        self._call_name, self._doubts_clock = "", False
        self._clock_read_at = float("inf")  # it is not asked for its time
        # Time passes with each request that acts: some have their number from it.
        api.milliseconds, api.rateLimit = lambda: now_ms + len(self._acts), 0
        self._use_market({})
        for name, sign in SIGNERS.items():
            if hasattr(api, name):
                setattr(api, name, sign)
        api.sign = self._sign
        api.fetch = self._fetch

    def read(self, case: Mapping[str, Any]) -> Sequence[Any]:
        """Return what the adapter makes of the answers of one case, in rows."""
        self._given, self._refused = case.get("given", {}), case.get("refused", {})
        self._refused_first = dict(case.get("refused_first", {}))
        self._pages = {path: list(answers) for path, answers in case.get("pages", {}).items()}
        self._call_name, self._sent, self._acts, self._doubts_clock = case["call"], {}, [], False
        self._use_market(case.get("market", {}))
        self._answers.most_on_page = case.get("most_on_page", type(self._answers).most_on_page)
        try:
            return CALLS[case["call"]](self, [_order(one) for one in case.get("orders", ())])
        except ExchangeError as err:
            if not self._refused:
                raise
            row = {"error": type(err).__name__, "cause": err.cause, "doubts_clock": self._doubts_clock}
            return [row]

    def wrongly_sent(self, case: Mapping[str, Any]) -> str | None:
        """Return what the case that was just read has sent otherwise than it must, None for nothing.

        What acts is one request, without a field beside those that the case says it must have or may have;
        one more, with another number, where the first is refused for that.
        """
        most = 1 + len(case.get("refused_first", {}))
        if len(self._acts) > most:
            return f"{len(self._acts)} requests are sent instead of {most}"
        numbers = [act["sent nonce"] for act in self._acts if "sent nonce" in act]
        if len(set(numbers)) < len(numbers):
            return f"sent nonce is {numbers[0]} again"
        for name, expected in case.get("asks", {}).items():
            if type(value := self._sent.get(name)) is not type(expected) or value != expected:
                return f"{name} is {value} instead of {expected}"
        named = [*case.get("may", ()), *(name for fields in case["must"] for name in fields or ())]
        for name, value in (item for act in self._acts for item in act.items()):
            if isinstance(value, float) or EXPONENT.fullmatch(str(value)):
                return f"{name} is {value!r}, which is not written out"
            if not case.get("refused") and name not in named and name.removeprefix("sent ") not in OF_CCXT:
                return f"{name} is {value}, and nothing of the kind may be sent"
        return None

    def _placed(self, orders: Sequence[Order]) -> Sequence[Any]:
        return [{"id": self.place(orders[0]), **self._sent}]

    def _cancelled(self, orders: Sequence[Order]) -> Sequence[Any]:
        self.cancel(orders[0])
        return [self._sent]

    def _cancelled_batch(self, orders: Sequence[Order]) -> Sequence[Any]:
        self.cancel_batch(orders)
        return [{**self._sent, "most_in_batch": self.most_in_batch}]

    def _cancelled_all(self, _: Sequence[Order]) -> Sequence[Any]:
        self.cancel_all()
        return [self._sent]

    def _cancelled_after(self, _: Sequence[Order]) -> Sequence[Any]:
        self.cancel_all_after(CANCEL_AFTER_S)
        return [self._sent]

    def _filled_pages(self, _: Sequence[Order]) -> Sequence[Any]:
        """Return the executions of all pages, and what the last one was asked for with."""
        return [*self.fills(self._now - HOUR_S), self._sent]

    def _paid(self, _: Sequence[Order]) -> Sequence[Any]:
        return [*(self.funding(self._now - HOUR_S) or ()), self._sent]

    def _priced(self, _: Sequence[Order]) -> Sequence[Any]:
        return [{"price": self.price(), "is_firm": self.price_is_firm}]

    def _ruled(self, _: Sequence[Order]) -> Sequence[Any]:
        """Return the market's rules as they are read from the exchange's own description."""
        self._api.markets = self._raw = None
        try:
            return [self.market()]
        finally:
            self._use_market({})

    def _use_market(self, changes: Mapping[str, Any]) -> None:
        if self._api.markets and changes == self._changes:
            return  # most cases are of one market, and ccxt takes its time
        self._changes = changes
        structure = {**self._structure, **changes}
        self._api.set_markets([self._api.safe_market_structure(structure)])
        self._raw = self._api.markets[structure["symbol"]]

    def _order_params(self) -> dict[str, Any]:
        is_closing = self._call_name == "close"
        return super()._order_params() if is_closing else CcxtExchange._order_params(self)

    def _doubt_clock(self) -> None:
        self._doubts_clock = True

    def _sign(self, path: str, api: Any, method: str, params: Mapping[str, Any], *_: Any) -> dict[str, Any]:
        fields, where = params.get("tx_info", params), api if isinstance(api, str) else " ".join(api)
        self._sent = {"sent to": f"{method} {path}", "sent in": where} | {
            f"sent {name}": value for name, value in fields.items()
        }
        if method != "GET":
            self._acts.append(self._sent)
        return {"url": path, "method": method, "body": None, "headers": None}

    def _fetch(self, url: str, method: str = "GET", *_: Any, **__: Any) -> Any:
        if refused := self._refused_first.pop(url, None) or self._refused.get(url):
            return self._refuse(url, method, **refused)
        known = self._pages[url].pop(0) if self._pages.get(url) else self._given.get(url, self)
        if known is self:
            missing = f"there is no known answer to {url}"
            # Some find an order in lists that others lack; nothing else may be taken for an answer.
            raise self._errors.OrderNotFound(missing) if self._call_name == "find" else RuntimeError(missing)
        answer = json.loads(json.dumps(known))  # ccxt writes into some
        self._api.last_json_response = answer
        self._api.handle_errors(200, "", url, method, {}, "", answer, {}, None)
        return answer

    def _refuse(self, url: str, method: str, status: int, body: Any) -> Any:
        """Read a refusal as ccxt's own `fetch` does; one that is text is no JSON."""
        is_text = isinstance(body, str)
        read, text = (None, body) if is_text else (body, json.dumps(body))
        self._api.last_json_response = read
        arguments: tuple[Any, ...] = (status, "", url, method, {}, text, read, {}, None)
        try:
            if status >= 400:
                raise StatusError(status)
        except StatusError:
            self._api.handle_errors(*arguments)
            self._api.handle_http_status_code(status, "", url, method, text)
        else:
            self._api.handle_errors(*arguments)
        return body


CALLS: Mapping[str, Callable[[KnownExchange, Sequence[Order]], Sequence[Any]]] = {
    "place": KnownExchange._placed,
    "close": KnownExchange._placed,
    "cancel": KnownExchange._cancelled,
    "cancel_batch": KnownExchange._cancelled_batch,
    "cancel_all": KnownExchange._cancelled_all,
    "cancel_all_after": KnownExchange._cancelled_after,
    "open_orders": lambda known, _: known.open_orders(),
    "find": lambda known, orders: [row for _, row in known.find(orders)],
    "fills": lambda known, _: known.fills(known._now - HOUR_S),
    "pages": KnownExchange._filled_pages,
    "funding": KnownExchange._paid,
    "position": lambda known, _: [{"net": known.position()}],
    "is_hedged": lambda known, _: [{"is_hedged": known.is_hedged()}],
    "holdings": lambda known, _: [{"held": known.holdings()}],
    "held": lambda known, _: [{"held": known.held()}],
    "price": KnownExchange._priced,
    "mark_price": lambda known, _: [{"mark": known.mark_price()}],
    "market": KnownExchange._ruled,
}


WITH_ORDERS = ("place", "close", "cancel", "cancel_batch", "find")
# Where a case has what the exchange answers: once and again, one after the other, or refusing.
ANSWERS = ("given", "pages", "refused")


def require_form(known: Mapping[str, Any]) -> None:
    """Check that known answers, and messages, are there and whole.

    Raises LookupError, TypeError, ValueError or AttributeError.
    """
    float(known["now"]), known["market"]["id"], known["market"]["symbol"], known["told"]["url"]
    if not known["cases"] or not known["told"]["cases"]:
        raise ValueError("there are no cases")
    for case in known["told"]["cases"]:
        if not (case["message"] and case["given"] and isinstance(case["must"], list)):
            raise ValueError(f"a case is not whole: {case['message']}")
    for case in known["cases"]:
        orders = [_order(one) for one in case.get("orders", ())]
        is_whole = case["call"] in CALLS and (orders or case["call"] not in WITH_ORDERS)
        if not (is_whole and case["must"] and any(case.get(name) for name in ANSWERS)):
            raise ValueError(f"a case is not whole: {case['answer']}")


def _order(terms: Mapping[str, Any]) -> Order:
    side, price, qty = Side(terms["side"]), Decimal(terms["price"]), Decimal(terms["qty"])
    more = {key: value for key, value in terms.items() if key not in ("side", "price", "qty")}
    return Order(slot="L1", side=side, price=price, qty=qty, filled=ZERO, state="new", created_at=0.0, **more)
