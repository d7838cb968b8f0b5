"""The tick: look, record, decide, act. Decisions come from `strategy` and `risk`; here they are carried out."""

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
from gridbot.trading.reconcile import Outcome, Synchronizer

SAMPLE_EVERY_S = 2.0
STATUS_LINE_EVERY_S = 60.0
# A slot whose order was rejected is left alone for a while, longer each time.
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
ACCOUNT_EVERY_S = 60.0
# A tick places orders for at most this long, so that a slow exchange doesn't keep it from looking at its
# fills.
ACT_FOR_S = 5.0


class CompletedError(Exception):
    """The run's work is done; the text says why."""


@dataclass
class _Backoff:
    times: int = 0
    until: float = 0.0


class Engine:
    """One run on one market. `tick` may raise ExchangeError (try again later) and CompletedError (stop)."""

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
        self._sync = Synchronizer(store, exchange, market)
        self._stopping, self._clock = stopping, clock
        self._closing: dict[str, Any] | None = json.loads(run.closing) if run.closing else None
        self._backoff: dict[str, _Backoff] = {}
        self._ran_s = run.ran_s
        self._ticked_at: float | None = None
        self._sampled_at = 0.0
        self._said_at = 0.0
        self._prepared = False
        self._foreign: set[int] = set()
        self._complained_at = 0.0
        self._checked_at = 0.0
        self.account_position: Decimal | None = None
        self.unsettled = 0

    def tick(self) -> None:
        """Look at the market once and act on it."""
        now = self._clock()
        self._take_wishes()
        self.price = price = self.exchange.price()
        if not self._prepared:
            log.info(self.strategy.prepare(price))
            self._prepared = True
        outcome = self._sync.run(now)
        self.shared.record_answer()
        self._foreign, self.unsettled = outcome.foreign_ids, outcome.unsettled
        for fill, order, held in outcome.trades:
            self._say_fill(fill, order, held)
        self._count_time(now)
        self._check_account(now)
        self._decide(price)
        self._act(outcome, price, now)
        self._keep(price, now)

    def failed(self, err: ExchangeError, *, first: bool) -> None:
        """The tick did not come through."""
        now = self._clock()
        self.store.samples.add_error(now, "exchange", str(err))
        self.shared.note = f"the exchange is out of reach: {err}"
        self._ticked_at = None
        if first or now - self._complained_at > STATUS_LINE_EVERY_S:
            self._complained_at = now
            log.warning("the exchange is out of reach, nothing is decided until it answers: %s", err)

    def _take_wishes(self) -> None:
        wish = self.shared.pause_requested
        if wish is not None and wish != self.paused:
            self.paused = wish
            self.store.set_run(paused=int(wish))
            log.info("paused: cancelling orders" if wish else "going on")

    def _check_account(self, now: float) -> None:
        """Compare the account's position with our own trades'. A difference is somebody else's, and left alone."""
        if not self.settings.live or now - self._checked_at < ACCOUNT_EVERY_S:
            return
        self._checked_at = now
        there = self.exchange.position()
        own = self.store.ledger.position
        if there is not None and there != own and there != self.account_position:
            log.warning(
                "the account holds %s %s, this bot's trades make %s",
                as_text(there),
                self.market.base,
                as_text(own),
            )
        self.account_position = there

    def _decide(self, price: Decimal) -> None:
        if self._closing is not None:
            return
        why, flatten = risk.pnl_limit_reached(self.settings, self.store.ledger.pnl(price)), True
        if why is None and self.settings.duration and self._ran_s >= self.settings.duration:
            why, flatten = f"duration of {self.settings.duration:g} s is over", False
        bounds = self.strategy.price_range()
        if why is None and bounds and self.settings.boundary_check and not self.paused:
            left = risk.range_left(*bounds, self.settings.boundary_tolerance, price)
            if left and self.settings.boundary_action == "adjust_range":
                log.warning("%s: moving the range", left)
                log.info(self.strategy.move_range(price))
            elif left:
                why, flatten = left, self.settings.boundary_action == "emergency_close"
        if why is not None:
            log.warning("%s: %s", why, "closing the position" if flatten else "cancelling orders")
            self._closing = {"why": why, "flatten": flatten}
            self.store.set_run(closing=json.dumps(self._closing))

    def _act(self, outcome: Outcome, price: Decimal, now: float) -> None:
        live = self.store.live_orders()
        outdated = self.store.outdated_order_ids()
        cancel = [*outcome.stray, *(order for order in live if order.client_id in outdated)]
        place: tuple[OrderRequest, ...] = ()
        if self._closing is not None:
            cancel = [*outcome.stray, *(order for order in live if not order.market)]
            if not live:
                place = self._close_order(price)
        elif self.paused:
            cancel = [*outcome.stray, *live]
        elif not cancel:
            plan = self.strategy.plan(live, price)
            cancel, place = list(plan.cancel), plan.place
        deadline = time.monotonic() + ACT_FOR_S
        for order in cancel:
            if order.exchange_id is not None and not self._out_of_time(deadline):
                self.exchange.cancel(order)
                self.shared.record_tick()
        placed = [
            order for wanted in place if not self._out_of_time(deadline) for order in self._place(wanted, now)
        ]
        self._say_placed(placed)

    def _close_order(self, price: Decimal) -> tuple[OrderRequest, ...]:
        """The market order that closes what is held; raises CompletedError when nothing is left to do."""
        assert self._closing is not None
        position = self.store.ledger.position
        qty = floor_to(abs(position), self.market.lot)
        if not self._closing["flatten"] or not self.market.is_tradable(qty, price):
            if position:
                log.warning("the position of %s %s is left as it is", as_text(position), self.market.base)
            raise CompletedError(self._closing["why"])
        # Reduce-only is the safer order, but where others trade on the account ours may be its smaller part.
        there = self.exchange.position()
        reduces = self.market.perp and (there is None or there / position >= 1)
        side = ledger.closing_side(position)
        return (OrderRequest("close", side, price, qty, market=True, reduce_only=reduces),)

    def _place(self, wanted: OrderRequest, now: float) -> list[Order]:
        backoff = self._backoff.get(wanted.slot)
        if backoff and now < backoff.until:
            return []
        order = self.store.new_order(wanted, self._clock(), self._foreign, self.exchange.max_client_id)
        try:
            exchange_id = self.exchange.place(order)
        except RejectedError as err:
            self.store.close_order(order.client_id, "rejected", str(err))
            self._rejected(order, str(err), now)
            return []
        finally:
            self.shared.record_tick()
        self.store.confirm(order.client_id, exchange_id)
        self._backoff.pop(wanted.slot, None)
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
        """Trading time, restarts included; an outage or a pause of the machine counts as one interval."""
        if self._ticked_at is not None:
            self._ran_s += min(max(now - self._ticked_at, 0.0), 10 * self.settings.interval + 60)
        self._ticked_at = now

    def _keep(self, price: Decimal, now: float) -> None:
        if now - self._sampled_at >= SAMPLE_EVERY_S:
            self.store.samples.add_equity(self.store.run_id, now, price, self.store.ledger)
            self.store.set_run(ran_s=self._ran_s)
            self.store.samples.thin_out(now)
            self._sampled_at = now
        if now - self._said_at >= STATUS_LINE_EVERY_S:
            self._said_at = now
            orders = self.store.live_orders()
            buys = sum(order.side is Side.BUY for order in orders)
            log.info(
                "price %s  orders %d buy %d sell  %s",
                as_text(price),
                buys,
                len(orders) - buys,
                self._summary(price, self.store.ledger),
            )

    def _say_fill(self, fill: Fill, order: Order, held: Ledger) -> None:
        assert self.price is not None
        part = "" if fill.qty == order.qty else f" of {as_text(order.qty)}"
        log.info(
            "filled %-4s %s%s @ %s  %s",
            fill.side.upper(),
            as_text(fill.qty),
            part,
            as_text(fill.price),
            self._summary(self.price, held),
        )

    def _say_placed(self, orders: list[Order]) -> None:
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

    def _summary(self, price: Decimal, held: Ledger) -> str:
        return f"position {as_text(held.position)} {self.market.base}  P&L {held.pnl(price):+.4f} {self.market.quote}"
