"""Run one tick: read the market, store, decide, act. `strategies` decides, and this module executes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import ExchangeError, RejectedError
from gridbot.model.types import Fill, Market, Order, OrderRequest, Side, as_text, floor_to
from gridbot.runtime.log import log
from gridbot.runtime.shared_state import SharedState
from gridbot.store import ledger
from gridbot.store.ledger import Ledger
from gridbot.store.store import Run, Store
from gridbot.strategies import risk
from gridbot.strategies.strategy import Strategy
from gridbot.trading.reconcile import Reconciler, Reconciliation

SAMPLE_EVERY_S = 2.0
SUMMARY_EVERY_S = 60.0
# Pauses after the first, second, … rejection of an order in one slot.
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
ACCOUNT_EVERY_S = 60.0
# A tick places orders for at most this long, so that a slow exchange doesn't keep it from looking at its
# fills.
ACT_FOR_S = 5.0


class CompletedError(Exception):
    """Report that the run is complete. The text says why."""


@dataclass
class _Backoff:
    times: int = 0
    until: float = 0.0


class Engine:
    """Trade one run on one market."""

    def __init__(
        self,
        settings: Settings,
        run: Run,
        store: Store,
        exchange: Exchange,
        market: Market,
        strategy: Strategy,
        shared: SharedState,
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings, self.run, self.store, self.exchange, self.market = (
            settings,
            run,
            store,
            exchange,
            market,
        )
        self.strategy, self.shared = strategy, shared
        self.price: Decimal | None = None
        self.paused = run.paused
        self._reconciler = Reconciler(store, exchange, market)
        self._stopping, self._clock = stopping, clock
        self._closing: dict[str, Any] | None = json.loads(run.closing) if run.closing else None
        self._backoff: dict[str, _Backoff] = {}
        self._ran_s = run.ran_s
        self._ticked_at: float | None = None
        self._sampled_at = 0.0
        self._summary_logged_at = 0.0
        self._prepared = False
        self._foreign: set[int] = set()
        self._outage_logged_at = 0.0
        self._checked_at = 0.0
        self.account_position: Decimal | None = None
        self.unsettled = 0

    def tick(self) -> None:
        """Read the market once and act on it. Raises ExchangeError (retry later) or CompletedError (stop)."""
        now = self._clock()
        self._apply_pause_request()
        self.price = price = self.exchange.price()
        if not self._prepared:
            log.info(self.strategy.prepare(price))
            self._prepared = True
        result = self._reconciler.run(now)
        self.shared.record_answer()
        self._foreign, self.unsettled = result.foreign_ids, result.unsettled
        for fill, order, ledger_after in result.trades:
            self._log_fill(fill, order, ledger_after)
        self._count_time(now)
        self._check_account(now)
        self._decide(price)
        self._act(result, price, now)
        self._store_sample(price, now)

    def record_failure(self, err: ExchangeError, *, first: bool) -> None:
        """Store and log that a tick failed."""
        now = self._clock()
        self.store.samples.add_error(now, "exchange", str(err))
        self.shared.note = f"the exchange is out of reach: {err}"
        self._ticked_at = None
        if first or now - self._outage_logged_at > SUMMARY_EVERY_S:
            self._outage_logged_at = now
            log.warning("the exchange is out of reach, nothing is decided until it answers: %s", err)

    def _apply_pause_request(self) -> None:
        requested = self.shared.pause_requested
        if requested is not None and requested != self.paused:
            self.paused = requested
            self.store.set_run(paused=int(requested))
            log.info("paused: cancelling orders" if requested else "resumed")

    def _check_account(self, now: float) -> None:
        """Compare the account's position with this bot's trades. A difference is logged, and not traded."""
        if not self.settings.live or now - self._checked_at < ACCOUNT_EVERY_S:
            return
        self._checked_at = now
        account = self.exchange.position()
        own = self.store.ledger.position
        if account is not None and account != own and account != self.account_position:
            log.warning(
                "the account holds %s %s, this bot's trades make %s",
                as_text(account),
                self.market.base,
                as_text(own),
            )
        self.account_position = account

    def _decide(self, price: Decimal) -> None:
        if self._closing is not None:
            return
        why, flatten = risk.pnl_limit_reached(self.settings, self.store.ledger.pnl(price)), True
        if why is None and self.settings.duration and self._ran_s >= self.settings.duration:
            why, flatten = f"duration of {self.settings.duration:g} s is over", False
        bounds = self.strategy.price_range()
        if why is None and bounds and self.settings.boundary_check and not self.paused:
            left_by = risk.range_left(*bounds, self.settings.boundary_tolerance, price)
            if left_by and self.settings.boundary_action == "adjust_range":
                log.warning("%s: moving the range", left_by)
                log.info(self.strategy.move_range(price))
            elif left_by:
                why, flatten = left_by, self.settings.boundary_action == "emergency_close"
        if why is not None:
            log.warning("%s: %s", why, "closing the position" if flatten else "cancelling orders")
            self._closing = {"why": why, "flatten": flatten}
            self.store.set_run(closing=json.dumps(self._closing))

    def _act(self, result: Reconciliation, price: Decimal, now: float) -> None:
        live = self.store.live_orders()
        outdated = self.store.outdated_order_ids()
        cancel = [*result.reopened, *(order for order in live if order.client_id in outdated)]
        place: tuple[OrderRequest, ...] = ()
        if self._closing is not None:
            cancel = [*result.reopened, *(order for order in live if not order.market)]
            if not live:
                place = self._close_order(price)
        elif self.paused:
            cancel = [*result.reopened, *live]
        elif not cancel:
            plan = self.strategy.plan(live, price)
            cancel, place = list(plan.cancel), plan.place
        deadline = time.monotonic() + ACT_FOR_S
        for order in cancel:
            if order.exchange_id is not None and not self._out_of_time(deadline):
                self.exchange.cancel(order)
                self.shared.record_tick()
        placed = [
            order
            for request in place
            if not self._out_of_time(deadline)
            for order in self._place(request, now)
        ]
        self._log_placed(placed)

    def _close_order(self, price: Decimal) -> tuple[OrderRequest, ...]:
        """Return the market order that closes the position. Raises CompletedError when it is closed."""
        assert self._closing is not None
        position = self.store.ledger.position
        qty = floor_to(abs(position), self.market.lot)
        if not self._closing["flatten"] or not self.market.is_tradable(qty, price):
            if position:
                log.warning("the position of %s %s is left as it is", as_text(position), self.market.base)
            raise CompletedError(self._closing["why"])
        # Reduce-only is the safer order, but where others trade on the account ours may be its smaller part.
        account = self.exchange.position()
        reduces = self.market.perp and (account is None or account / position >= 1)
        side = ledger.closing_side(position)
        return (OrderRequest("close", side, price, qty, market=True, reduce_only=reduces),)

    def _place(self, request: OrderRequest, now: float) -> list[Order]:
        backoff = self._backoff.get(request.slot)
        if backoff and now < backoff.until:
            return []
        order = self.store.new_order(request, self._clock(), self._foreign, self.exchange.max_client_id)
        try:
            exchange_id = self.exchange.place(order)
        except RejectedError as err:
            self.store.close_order(order.client_id, "rejected", str(err))
            self._rejected(order, str(err), now)
            return []
        finally:
            self.shared.record_tick()
        self.store.confirm(order.client_id, exchange_id)
        self._backoff.pop(request.slot, None)
        return [order]

    def _rejected(self, order: Order, why: str, now: float) -> None:
        backoff = self._backoff.setdefault(order.slot, _Backoff())
        backoff.until = now + BACKOFF_S[min(backoff.times, len(BACKOFF_S) - 1)]
        backoff.times += 1
        if order.post_only and backoff.times == 1:
            return  # the price moved onto the level meanwhile; the next try usually works
        log.warning(
            "rejected %s %s @ %s: %s", order.side.upper(), as_text(order.qty), as_text(order.price), why
        )
        self.store.samples.add_error(now, "rejected", why)

    def _out_of_time(self, deadline: float) -> bool:
        return self._stopping() or time.monotonic() > deadline

    def _count_time(self, now: float) -> None:
        """Count trading time across restarts. An outage or a suspended machine counts as one interval."""
        if self._ticked_at is not None:
            self._ran_s += min(max(now - self._ticked_at, 0.0), 10 * self.settings.interval + 60)
        self._ticked_at = now

    def _store_sample(self, price: Decimal, now: float) -> None:
        if now - self._sampled_at >= SAMPLE_EVERY_S:
            self.store.samples.add_equity(self.store.run_id, now, price, self.store.ledger)
            self.store.set_run(ran_s=self._ran_s)
            self.store.samples.thin_out(now)
            self._sampled_at = now
        if now - self._summary_logged_at >= SUMMARY_EVERY_S:
            self._summary_logged_at = now
            orders = self.store.live_orders()
            buys = sum(order.side is Side.BUY for order in orders)
            log.info(
                "price %s  orders %d buy %d sell  %s",
                as_text(price),
                buys,
                len(orders) - buys,
                self._summary(price, self.store.ledger),
            )

    def _log_fill(self, fill: Fill, order: Order, ledger_after: Ledger) -> None:
        assert self.price is not None
        part = "" if fill.qty == order.qty else f" of {as_text(order.qty)}"
        log.info(
            "filled %-4s %s%s @ %s  %s",
            fill.side.upper(),
            as_text(fill.qty),
            part,
            as_text(fill.price),
            self._summary(self.price, ledger_after),
        )

    def _log_placed(self, orders: list[Order]) -> None:
        if len(orders) <= 2:
            for order in orders:
                price = "market" if order.market else as_text(order.price)
                log.info("placed %-4s %s @ %s", order.side.upper(), as_text(order.qty), price)
            return
        for side in Side:
            prices = sorted(order.price for order in orders if order.side is side)
            if prices:
                log.info(
                    "placed %d %s orders %s-%s",
                    len(prices),
                    side.upper(),
                    as_text(prices[0]),
                    as_text(prices[-1]),
                )

    def _summary(self, price: Decimal, ledger_after: Ledger) -> str:
        position = f"position {as_text(ledger_after.position)} {self.market.base}"
        return f"{position}  P&L {ledger_after.pnl(price):+.4f} {self.market.quote}"
