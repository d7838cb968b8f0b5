"""Close the position that the record of a stopped bot holds.

Nothing is sent unless record and account agree: before the first order, and again before each further one.
An order bears a client id that is stored before it is sent, and after a lost answer it is asked for by that
id until it is known what became of it, so no kill and no lost answer closes anything twice. On a perpetual it
is reduce-only besides.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import ClosingExchange
from gridbot.model.errors import (
    ExchangeError,
    RefusedError,
    RejectedError,
    UnauthorizedError,
    UnreachableError,
)
from gridbot.model.types import ZERO, Market, Order, OrderRequest, Side, as_text, ceil_to, floor_to
from gridbot.store.database import CLOSING
from gridbot.store.ledger import closing_side
from gridbot.store.store import Store
from gridbot.trading.cancel import ask_patiently
from gridbot.trading.closed import Closed, Terms
from gridbot.trading.left_figures import left_figures
from gridbot.trading.others_part import bots_position, held_by_others
from gridbot.trading.position_watch import SECOND_LOOK_S
from gridbot.trading.reconcile import Reconciler
from gridbot.trading.retry import RetryPauses
from gridbot.trading.run_figures import RunFigures

# Shared with the bot's own closing order, so that the record refuses a second live one.
SLOT = "close"
LOOK_WITHIN_S = 60.0
CLOSE_WITHIN_S = 150.0
PAUSE_FIRST_S, PAUSE_CAP_S = 0.5, 15.0
SETTLE_PAUSES_S = (0.0, 0.1, 0.25, 0.5, 1.0)
# How many orders in a row may find nothing in the book before closing ends.
MOST_EMPTY = 3
SLICE_PAUSE_S = 1.0


@dataclass
class Closer:
    """Close one record's position. The store is open, which keeps its bot from running meanwhile."""

    settings: Settings
    store: Store
    exchange: ClosingExchange
    within: float
    sleep: Callable[[float], None] = time.sleep
    _empty: int = field(default=0, init=False)
    _foreign: set[int] = field(default_factory=set, init=False)
    _late_refusal: RefusedError | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Load the market's rules. Raises BotError or ExchangeError."""
        self._deadline = time.monotonic() + self.within
        run = self.store.last_run()
        if run is None:
            raise RefusedError("this bot has never traded, so nothing is its own", "never_traded")
        if run.identity != self.settings.identity:
            last, now = run.identity, self.settings.identity
            raise RefusedError(
                f"its last run traded on {last}, and this is {now}", "other_market", last=last, now=now
            )
        self.exchange.shorten_timeouts()
        self._market: Market = ask_patiently(self.exchange.market, self.within)
        self._reconciler = Reconciler(self.store, self.exchange, self._market)
        self._pauses = RetryPauses(PAUSE_FIRST_S, PAUSE_CAP_S)

    def look(self, share: Decimal) -> dict[str, Any]:
        """Return what closing would do, at a price that is at most `share` worse than the market's."""
        position = self._agreed_position()
        self._end_closing()
        price = self._patiently(self._market_price)
        side = closing_side(position)
        bound = self._bound(price, side, share)
        return {
            "position": as_text(position),
            "base": self._market.base,
            "quote": self._market.quote,
            "side": side.value,
            "quantity": as_text(self._tradable(position, bound)),
            "market_price": as_text(price),
            "price": as_text(bound),
            "report": self._report(price),
        }

    def record(self) -> dict[str, Any]:
        """Return what its own trades make, once it is known of every order what became of it.

        The account is not compared: it tells of none of the bots on it what is whose.
        """
        self._settle()
        return {"position": as_text(self.store.ledger.position), "base": self._market.base}

    def close(self, terms: Terms) -> Closed:
        """Send orders until nothing is left, or the book gives no more at that price.

        Raises RefusedError or ExchangeError as long as nothing was sent.
        """
        market = self._market
        closed = Closed(market.base, market.quote)
        position, began = self._agreed_position(), time.time()
        try:
            while not self._is_over(closed, position, terms):
                self._begin_closing()
                closed.position = None
                qty = floor_to(min(abs(position), terms.qty - closed.qty), market.lot)
                refusal = self._send(terms, market.one_order(qty, terms.price))
                self._settle()
                before = closed.qty
                closed.qty, closed.value = self._booked_since(began)
                self._empty = 0 if closed.qty > before else self._empty + 1
                position = self._agreed_position()
                closed.reason = refusal or self._late_refusal
                if self._empty:
                    self.sleep(SLICE_PAUSE_S)
        except (RefusedError, ExchangeError) as err:
            if closed.position is not None:
                raise
            closed.qty, closed.value = self._booked_since(began)
            closed.reason = err if isinstance(err, RefusedError) else RefusedError(str(err))
            return closed
        closed.report = self._report(closed.value / closed.qty if closed.qty else None)
        self._end_closing()
        return closed

    def _report(self, price: Decimal | None) -> dict[str, Any]:
        """Return what the bot's report would say now, of the whole run too as far as that can be read."""
        left, figures = left_figures(self.store, price), RunFigures(self.store.path)
        figures.read_last()
        return {**left, **figures.values}

    def _is_over(self, closed: Closed, position: Decimal, terms: Terms) -> bool:
        """Take down what is left, and tell whether no further order is sent."""
        closed.position = position
        closed.rest_is_tradable = bool(self._tradable(position, terms.price))
        if not closed.rest_is_tradable or closed.reason is not None:
            return True
        left = terms.qty - closed.qty
        if closing_side(position) is not terms.side:
            holds = as_text(position)
            closed.reason = RefusedError(
                f"it holds {holds} now, which {terms.side} does not close",
                "other_side",
                position=holds,
                side=terms.side.value,
            )
        elif not self._market.is_tradable(floor_to(min(abs(position), left), self._market.lot), terms.price):
            most = as_text(terms.qty)
            closed.reason = RefusedError(
                f"it holds more than the {most} that were agreed to", "more_than_agreed", most=most
            )
        elif self._empty >= MOST_EMPTY:
            bound = as_text(terms.price)
            closed.reason = RefusedError(
                f"the book gives no more at {bound} or better", "book_empty", price=bound
            )
        elif time.monotonic() >= self._deadline:
            seconds = f"{self.within:g}"
            closed.reason = RefusedError(f"not done within {seconds} s", "too_slow", seconds=seconds)
        return closed.reason is not None

    def _send(self, terms: Terms, qty: Decimal) -> RefusedError | None:
        """Send one order. Return why the exchange refuses it, None where it does not, or may have it."""
        request = OrderRequest(SLOT, terms.side, terms.price, qty, reduce_only=self._market.perp)
        order = self.store.new_order(request, time.time(), self._foreign, self.exchange.max_client_id)
        try:
            exchange_id = self.exchange.place(order)
        except RejectedError as err:
            self.store.close_order(order.client_id, "rejected", str(err))
            return self._refused(str(err))
        except ExchangeError as err:
            self.sleep(self._pauses.after(err))
            return None
        if exchange_id is not None:
            self.store.confirm(order.client_id, exchange_id)
        return None

    def _refused(self, why: str) -> RefusedError:
        name = self.exchange_name
        return RefusedError(f"{name} refuses the order: {why}", "order_refused", exchange=name, error=why)

    @property
    def exchange_name(self) -> str:
        """Return the exchange's name for messages."""
        return self.settings.exchange

    def _booked_since(self, began: float) -> tuple[Decimal, Decimal]:
        """Return quantity and value of what the closing orders of this call have filled."""
        orders = self.store.orders_of_slot(SLOT, began)
        return sum((o.filled for o in orders), ZERO), sum(
            (self.store.booked(o.client_id)[0] for o in orders), ZERO
        )

    # record and account

    def _agreed_position(self) -> Decimal:
        """Return the position of the record, when the account has it, too. Raises RefusedError."""
        self._settle()
        for is_last in (False, True):
            account = self._patiently(self._account)
            own, others = self.store.ledger.position, self._others(account)
            if not self._market.perp and own <= -self._market.lot:
                holds = f"{as_text(own)} {self._market.base}"
                raise RefusedError(
                    f"its record is {holds}: nothing is bought on spot", "bought_on_spot", position=holds
                )
            if abs(account - others - own) < self._market.lot:
                self._require_reducible(own, account)
                return own
            if not is_last:
                # Histories list an execution later than the position shows it.
                self.sleep(SECOND_LOOK_S)
                self._settle()
        base = self._market.base
        raise RefusedError(
            f"record and account differ: this bot's trades make {as_text(own)} {base}, the account holds"
            f" {as_text(account)}" + (f", of which {as_text(others)} is others'" if others else ""),
            "differ_beside_others" if others else "differ",
            own=as_text(own),
            base=base,
            account=as_text(account),
            others=as_text(others),
        )

    def _require_reducible(self, own: Decimal, account: Decimal) -> None:
        """Check that the account as a whole can be reduced by what this bot holds. Raises RefusedError."""
        qty = floor_to(abs(own), self._market.lot)
        if qty and (account * own < 0 or abs(account) < qty):
            raise RefusedError(
                f"this bot holds {as_text(own)} {self._market.base} and the account as a whole"
                f" {as_text(account)}, which no reduce-only order can be reduced by that",
                "not_reducible",
                own=f"{as_text(own)} {self._market.base}",
                account=as_text(account),
            )

    def _account(self) -> Decimal:
        if not self._market.perp:
            return self.exchange.held()
        account = self.exchange.position()
        if account is None:
            name = self.exchange_name
            raise RefusedError(f"{name} does not say what the account holds", "not_said", exchange=name)
        return account

    def _others(self, account: Decimal) -> Decimal:
        """Return what others hold in the account, and what this bot leaves alone.

        Where other bots of the fleet trade on it, their records say what they hold. Of a spot account it is
        what it holds beyond the record when closing begins, and at least those bots' part.
        """
        bots = bots_position(self.settings)
        if self._market.perp or self.settings.others_position is not None:
            return held_by_others(self.settings, self.store.fact, bots) or ZERO
        if begun := self.store.fact(CLOSING):
            return Decimal(json.loads(begun)["others"])
        return max(account - self.store.ledger.position, bots or ZERO)

    def _begin_closing(self) -> None:
        if not self.store.fact(CLOSING):
            account = self._patiently(self._account)
            begun = {"position": str(self.store.ledger.position), "others": str(self._others(account))}
            self.store.set_fact(CLOSING, json.dumps(begun))

    def _end_closing(self) -> None:
        """End a run of which something was closed: its cells hold what is gone.

        The next start begins a new one, with what is left.
        """
        begun = self.store.fact(CLOSING)
        if not begun:
            return
        has_changed = Decimal(json.loads(begun)["position"]) != self.store.ledger.position
        if has_changed and self.store.unfinished_run() is not None:
            self.store.end_run("the position was closed")
        self.store.set_fact(CLOSING, "")

    # orders

    def _settle(self) -> None:
        """Wait until it is known of every order what became of it. Raises RefusedError."""
        rounds = 0
        while True:
            pause, why = SETTLE_PAUSES_S[min(rounds, len(SETTLE_PAUSES_S) - 1)], "its orders are not settled"
            try:
                result = self._reconciler.run(time.time())
                self._foreign = result.foreign_ids
                for _order, refusal in result.refused:
                    self._late_refusal = self._refused(refusal.text)
                is_listed = [order for order in self.store.live_orders() if order.client_id in result.listed]
                self._cancel_own([*is_listed, *result.reopened])
                is_over = result.unclear is None and not (is_listed or result.reopened or result.has_given_up)
                if is_over and not self.store.live_orders():
                    self._pauses.reset()
                    return
            except UnauthorizedError:
                raise
            except ExchangeError as err:
                pause, why = self._pauses.after(err), str(err)
            if time.monotonic() + pause >= self._deadline:
                name = self.exchange_name
                text = f"{name}: what became of its orders is not known: {why}"
                raise RefusedError(text, "orders_unknown", exchange=name, error=why)
            self.sleep(pause)
            rounds += 1

    def _cancel_own(self, listed: list[Order]) -> None:
        """Cancel a closing order that rests although it must not. Raises RefusedError for any other."""
        others = [order for order in listed if order.slot != SLOT]
        if others:
            name, count = self.exchange_name, str(len(others))
            text = f"{count} orders of this bot are open at {name}"
            raise RefusedError(text, "orders_open", count=count, exchange=name)
        for order in listed:
            self.exchange.cancel(order)

    def _market_price(self) -> Decimal:
        price = self.exchange.mark_price()
        if price is None:
            text = f"{self.exchange_name} gives neither a mark price nor both sides of the book"
            raise RefusedError(text, "no_price", exchange=self.exchange_name)
        return price

    def _bound(self, price: Decimal, side: Side, share: Decimal) -> Decimal:
        """Return the worst price that is accepted, on the tick."""
        tick = self._market.tick
        if side is Side.SELL:
            return ceil_to(price * (1 - share), tick)
        return floor_to(price * (1 + share), tick)

    def _tradable(self, position: Decimal, price: Decimal) -> Decimal:
        """Return how much of `position` an order may be of, 0 where it is too small for one."""
        if not self._market.perp and position < 0:
            return ZERO  # nothing is bought to close a spot record
        qty = floor_to(abs(position), self._market.lot)
        return qty if self._market.is_tradable(qty, price) else ZERO

    def _patiently(self, call: Callable[[], Decimal]) -> Decimal:
        """Return the answer, asked for again while none comes. Raises RefusedError or ExchangeError."""
        while True:
            try:
                return call()
            except UnreachableError as err:
                pause = self._pauses.after(err)
                if time.monotonic() + pause >= self._deadline:
                    raise
            self.sleep(pause)
