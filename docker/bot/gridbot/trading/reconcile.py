"""Match the stored orders and trades with the exchange's.

An order of the exchange belongs to this bot when its id is stored, or when it has the client id of a stored
order *and* that order's side and price. The client id alone is not enough, because another program may use
the same number.

An order with an execution that cannot be read, or is not listed for long, is counted by its own total, as the
exchange gives it with the order: from then on its single executions are not booked, or they would count
twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import UnclearError
from gridbot.model.types import (
    ExchangeOrder,
    Fill,
    Market,
    Order,
    UnreadableFill,
    UnreadableOrder,
    as_text,
)
from gridbot.runtime.log import log
from gridbot.store.ledger import COST_STEP
from gridbot.store.order_reader import TOTAL
from gridbot.store.store import Store
from gridbot.trading.history_reads import HistoryReads
from gridbot.trading.listing import Reconciliation, read_orders
from gridbot.trading.missing import LOST_AFTER_S, MissingOrders, find_missing
from gridbot.trading.nameless import Nameless
from gridbot.trading.strays import Strays

# From when on they are read where everything before is booked, in spite of what is listed even later: an
# exchange may take one call for each week.
COMPLETE_OVERLAP_S = 86_400.0


class Reconciler:
    """Reconcile in passes, and remember between them what was booked and what is missing."""

    def __init__(self, store: Store, exchange: Exchange, market: Market) -> None:
        self._store, self._exchange, self._market = store, exchange, market
        self._missing = MissingOrders(store)
        self._named: set[object] = set()
        self._explained: set[UnreadableFill] = set()
        self._nameless = Nameless(store, exchange)
        self._strays = Strays(store, exchange)
        self._reads = HistoryReads()
        # Client ids of orders that the exchange has accepted without telling its own id of them.
        self._accepted = store.accepted()
        # Executions of the last listing that are booked: most of the next one's.
        self._booked: frozenset[Fill] = frozenset()
        # When an order's booked executions were last all that the exchange counted for it; under None, when
        # that was so of every order.
        self._complete_at: dict[int | None, float] = {}
        # When the first of the orders was sent that have ended without a fill.
        self._ended_at: float | None = None
        # Since when open orders are listed with more than is booked, by client id.
        self._behind_since: dict[int, float] = {}

    def run(self, now: float) -> Reconciliation:
        """Run one pass. Raises ExchangeError; what was stored before stays stored."""
        result = self.read_orders()
        self.settle(result, now)
        return result

    def read_orders(self) -> Reconciliation:
        """Begin a pass: read the open orders."""
        return read_orders(self._store, self._exchange)

    def read_fills(self) -> Reconciliation:
        """Read the executions alone, and close what they have filled.

        Where one of them cannot be read nothing is known to be new: a whole pass looks up what it did.
        """
        result = Reconciliation()
        if self._read_trades(result, time.time()):
            return Reconciliation()
        for _fill, order, _ledger in result.trades:
            current = self._store.order(order.client_id)
            if current is not None and current.remaining <= 0:
                self._store.close_order(order.client_id, "filled")
        return result

    def settle(self, result: Reconciliation, now: float) -> None:
        """Complete a pass: read the trades, and close what has ended."""
        if result.unclear is None:
            self._note_complete(result, now)
        else:
            text = "the exchange does not say which orders are open, and each of this bot's is asked for"
            self._name("open orders", f"{text}: {result.unclear}", now)
        self._name_unreadable(result.unreadable, now)
        unreadable = self._read_trades(result, now)
        self._missing.note(result.missing, now, is_unclear=result.unclear is not None)
        self._count_unreadable(unreadable, now, result)
        self._count_listed_totals(result, now)
        try:
            self._settle(result.missing, now, result)
            self._strays.cancel_unlisted(result, now)
        finally:
            if result.unclear is None:
                self._missing.save()

    def accept(self, client_id: int) -> None:
        """Take an order for accepted although its id is not known yet, also after a restart of the bot."""
        self._store.accept(client_id)
        self._accepted.add(client_id)

    def _note_complete(self, result: Reconciliation, now: float) -> None:
        """Remember which orders the exchange lists with just what is booked."""
        missing = {order.client_id for order in result.missing}
        live = result.listed.keys() | missing
        complete = {key: at for key, at in self._complete_at.items() if key is None or key in live}
        self._complete_at = complete | dict.fromkeys(result.complete, now)
        self._accepted &= live
        self._reads.note_behind(live - result.complete)
        if not missing and result.complete == live - {order.client_id for order in result.reopened}:
            self._complete_at[None] = now

    def _read_from(self, key: int | None, otherwise: float) -> float:
        """Return since when executions may not be booked yet: of one order, or of any."""
        return max(otherwise, self._complete_at.get(key, 0.0) - COMPLETE_OVERLAP_S)

    def _read_trades(self, result: Reconciliation, now: float) -> list[UnreadableFill]:
        """Store the trades of this bot's orders. Return those that can't be read.

        An answer without a list has none: then the total of each order that has ended counts some time later.
        """
        store = self._store
        last = store.last_trade_time()
        starts = [self._read_from(order.client_id, order.created_at) for order in result.missing]
        if last is not None:
            # An execution may bear a time that is ahead, and those after it the right one.
            starts.append(self._read_from(None, min(last, now)))
        elif not starts:
            starts = [self._read_from(order.client_id, order.created_at) for order in store.live_orders()]
        if last is None and (ended_at := self._first_ended()) is not None:
            starts.append(self._read_from(None, ended_at))
        if not starts:
            return []
        try:
            executions = self._exchange.fills(self._reads.begin(min(starts), now))
        except UnclearError as err:
            self._name("executions", f"the exchange does not say what was traded: {err}", now)
            return []
        self._reads.end(executions, now)
        fills = [execution for execution in executions if isinstance(execution, Fill)]
        unreadable = [execution for execution in executions if isinstance(execution, UnreadableFill)]
        booked = self._booked.intersection(fills)
        new = sorted(set(fills) - booked, key=lambda fill: fill.at)
        self._nameless.begin(new, result, now)
        for fill in new:
            order = self._order_of(fill) or self._nameless.order_of(fill, result)
            if order is None:
                continue
            if store.is_beyond(fill, order):  # as one in another unit is, or the same one under another id
                why = f"an execution of {as_text(fill.qty)}, more than is left of its order"
                unreadable.append(UnreadableFill(fill.trade_id, fill.exchange_id, fill.client_id, why))
                continue
            self._book(fill, order, result)
            booked |= {fill}
        self._booked = booked
        return unreadable

    def _first_ended(self) -> float | None:
        """Return when the run's first order was sent that has ended unfilled: it may be listed as filled.

        That may be when nothing is live any more, or nothing that is as old.
        """
        if self._ended_at is None:
            self._ended_at = self._store.first_unfilled(self._store.run_id)
        return self._ended_at

    def _order_of(self, fill: Fill) -> Order | None:
        """Return the order of an execution, found by the exchange's id, else by its client id and side."""
        order = self._store.order_by_exchange_id(fill.exchange_id)
        if order is not None or fill.client_id is None:
            return order
        named = self._store.order(fill.client_id)
        is_ours = named is not None and named.exchange_id is None and named.side is fill.side
        return named if is_ours else None

    def _book(self, fill: Fill, order: Order, result: Reconciliation) -> None:
        """Store a fill of one of this bot's orders."""
        store = self._store
        if order.exchange_id is None:
            store.set_exchange_id(order.client_id, fill.exchange_id)
        # An execution has its order's side; some exchanges name the taker's.
        own = replace(fill, side=order.side)
        if not store.is_counted_by_total(fill.exchange_id) and store.add_trade(own, order, self._market):
            result.trades.append((own, order, store.ledger))

    def _count_unreadable(
        self, unreadable: Sequence[UnreadableFill], now: float, result: Reconciliation
    ) -> None:
        """Look up by its order's total what each of these executions did."""
        for trade in unreadable:
            if trade in self._explained:
                continue
            orders = self._orders_of(trade)
            if not orders:
                if _names_an_order(trade):
                    self._explained.add(trade)  # another program's
                continue
            self._name(trade, f"{trade.why}: its order's own total is counted", now)
            unexplained = [order for order in orders if not self._count_total(order, result)]
            result.uncertain_slots |= {
                order.slot for order in unexplained if trade.exchange_id or not order.live
            }
            if not unexplained and _names_an_order(trade):
                self._explained.add(trade)

    def _count_listed_totals(self, result: Reconciliation, now: float) -> None:
        """Count by their totals the open orders of which executions are listed too late, or can't be read.

        Once one is counted like that, its executions are not booked.
        """
        behind: dict[int, float] = {}
        for client_id, there in result.listed.items():
            if client_id in result.complete:
                continue
            order = self._store.order(client_id)
            if order is None or there.filled is None or there.filled <= order.filled:
                continue
            # A clock that was set back begins anew.
            behind[client_id] = since = min(self._behind_since.get(client_id, now), now)
            is_long = now - since > LOST_AFTER_S
            if is_long or self._store.is_counted_by_total(there.exchange_id):
                self._book_total(order, there, result)
        self._behind_since = behind

    def _orders_of(self, trade: UnreadableFill) -> list[Order]:
        """Return the order of an execution; each one it may be of where it doesn't say."""
        store = self._store
        order = store.order_by_exchange_id(trade.exchange_id) if trade.exchange_id else None
        if order is None and trade.client_id is not None:
            order = store.order(trade.client_id)
            known = order.exchange_id if order is not None else None
            if None not in (known, trade.exchange_id) and known != trade.exchange_id:
                order = None
        if order is not None:
            return [order]
        return [] if trade.exchange_id or trade.client_id is not None else store.live_orders()

    def _count_total(self, order: Order, result: Reconciliation) -> bool:
        """Book what the exchange says of `order` beyond what is booked. Return whether it has ended."""
        exchange_order: ExchangeOrder | UnreadableOrder | None = result.listed.get(order.client_id)
        if exchange_order is None:
            [(_, exchange_order)] = find_missing(self._store, self._exchange, [order])
        if not isinstance(exchange_order, ExchangeOrder) or not order.matches(exchange_order):
            return False
        if exchange_order.filled is None:
            return False
        self._book_total(order, exchange_order, result)
        return not exchange_order.open

    def _book_total(self, order: Order, there: ExchangeOrder, result: Reconciliation) -> bool:
        """Book what an order's total has beyond its booked fills, as one fill. Return whether it could."""
        store = self._store
        current = store.order(order.client_id)
        assert current is not None
        if there.filled is None or there.filled <= current.filled:
            return there.filled is not None
        if there.average is None or there.fee is None:
            return False
        qty = there.filled - current.filled
        value, fee = store.booked(order.client_id)
        fill = Fill(
            trade_id=f"{TOTAL}{there.exchange_id}:{as_text(there.filled)}",
            exchange_id=there.exchange_id,
            client_id=order.client_id,
            side=order.side,
            price=((there.average * there.filled - value) / qty).quantize(COST_STEP),
            qty=qty,
            fee=_rest_of_fee(there.fee, fee),
            fee_currency=self._market.quote,
            at=store.last_trade_time() or order.created_at,
        )
        if order.exchange_id is None:
            store.set_exchange_id(order.client_id, there.exchange_id)
        if store.add_trade(fill, order, self._market):
            result.trades.append((fill, order, store.ledger))
        return True

    def _name_unreadable(self, rows: Sequence[UnreadableOrder], now: float) -> None:
        """Say that a list of orders has rows that cannot be read."""
        for row in rows:
            text = f"a row in the exchange's list of orders cannot be read ({row.why}): this bot goes on"
            self._name(row, f"{text}, and gives up no order of its own that the row may be", now)

    def _name(self, key: object, text: str, now: float) -> None:
        """Log and store `text` the first time that it is said of `key`."""
        if key not in self._named:
            self._named.add(key)
            log.warning(text)
            self._store.samples.add_error(now, "unknown", text)

    def _settle(self, missing: Sequence[Order], now: float, result: Reconciliation) -> None:
        """Close or confirm orders that are live in the store but not among the open orders."""
        store, unknown, lost = self._store, list[Order](), list[Order]()
        for before in missing:
            order = store.order(before.client_id)
            assert order is not None
            if order.remaining <= 0:
                store.close_order(order.client_id, "filled")
            else:
                unknown.append(order)
        result.unsettled = len(unknown)
        if not unknown:
            return
        for order, exchange_order in find_missing(store, self._exchange, unknown):
            if isinstance(exchange_order, UnreadableOrder):
                self._name_unreadable([exchange_order], now)
                continue
            if exchange_order is None or not order.matches(exchange_order):
                if result.may_list(order):
                    continue
                if self._is_lost(order, now):
                    lost.append(order)
                continue
            if order.exchange_id != exchange_order.exchange_id or order.state == "new":
                store.confirm(order.client_id, exchange_order.exchange_id)
            if exchange_order.open:
                continue  # listed late: the next pass will see it
            is_booked = exchange_order.filled is not None and exchange_order.filled <= order.filled
            if is_booked or self._is_fill_known(order, exchange_order, now, result):
                self._close(order, exchange_order, result)
        self._strays.give_up(lost, self._accepted, result, now)

    def _is_fill_known(
        self, order: Order, exchange_order: ExchangeOrder, now: float, result: Reconciliation
    ) -> bool:
        """Book what an ended order has filled beyond its trades, and tell whether it can be closed now.

        Its trades are listed late, or its fill is not said. When they must have been listed, what the
        exchange says of it counts, and without that what its trades say.
        """
        result.ended.add(order.client_id)
        if exchange_order.filled is None:
            self._name(
                order.client_id,
                f"{_label(order)} has ended, and it is unknown how much of it"
                f" was filled: nothing is placed at {order.slot} until its trades say it",
                now,
            )
        if not self._missing.is_long(order, now):
            return False
        if exchange_order.filled is not None and not self._book_total(order, exchange_order, result):
            return False
        return order.slot not in result.uncertain_slots

    def _close(self, order: Order, exchange_order: ExchangeOrder, result: Reconciliation) -> None:
        """Close an order that has ended at the exchange, by what its trades have filled of it."""
        store = self._store
        total = store.order(order.client_id)
        assert total is not None
        if exchange_order.refusal is not None and not total.filled:
            store.close_order(order.client_id, "rejected", exchange_order.refusal.text)
            result.refused.append((order, exchange_order.refusal))
        else:
            store.close_order(order.client_id, "filled" if total.remaining <= 0 else "canceled")
            if total.remaining > 0:
                result.cancelled.append(order)
            if not total.filled:
                result.dropped.append(order)
        result.ended.discard(order.client_id)
        result.unsettled -= 1

    def _is_lost(self, order: Order, now: float) -> bool:
        """Tell whether an order that the exchange doesn't list is not waited for any more."""
        patience = self._exchange.settle_s
        is_unanswered = order.exchange_id is None and order.client_id not in self._accepted
        if patience == 0:
            return True
        if is_unanswered and now - order.created_at > patience:
            return self._missing.is_missed_again(order)
        return self._missing.is_long(order, now)


def _names_an_order(trade: UnreadableFill) -> bool:
    """Tell whether an execution says whose it is: another one that doesn't may look the same."""
    return trade.exchange_id is not None or trade.client_id is not None


def _rest_of_fee(total: Decimal, booked: Decimal) -> Decimal:
    """Return what of an order's fee is not booked. One that was booked in excess is not paid back."""
    rest = (total - booked).quantize(COST_STEP)
    return rest if total < 0 else max(rest, Decimal(0))


def _label(order: Order) -> str:
    name = order.exchange_id or order.client_id
    return f"order {name} ({order.side} {as_text(order.qty)} @ {as_text(order.price)})"
