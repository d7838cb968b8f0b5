"""Run one tick: read the market, store, decide, act. `strategies` decides, and this module executes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.model.condition import PAUSED, TRADING, Condition, duration_over
from gridbot.model.errors import ExchangeError, UnclearError
from gridbot.model.types import ZERO, Market, OrderRequest, ToldFill, as_text, floor_to
from gridbot.runtime.log import log
from gridbot.runtime.pace import Pace
from gridbot.runtime.shared_state import SharedState
from gridbot.store import ledger
from gridbot.store.database import HELD_SINCE
from gridbot.store.store import Run, Store
from gridbot.strategies import risk
from gridbot.strategies.strategy import Strategy
from gridbot.trading.drawdown_watch import DrawdownWatch
from gridbot.trading.listing import Reconciliation
from gridbot.trading.placing import Placing
from gridbot.trading.position_watch import PositionWatch
from gridbot.trading.reconcile import Reconciler
from gridbot.trading.run_ending import CompletedError, RunEnding
from gridbot.trading.run_figures import RunFigures
from gridbot.trading.second_look import SecondLook
from gridbot.trading.status import MarketView, build_status
from gridbot.trading.told_orders import ToldOrders
from gridbot.trading.trade_log import TradeLog

SAMPLE_EVERY_S = 2.0
SUMMARY_EVERY_S = 60.0
FUNDING_EVERY_S = 600.0
# All payments are read once; then those since the last look, and of a day before, as one may be listed late.
FUNDING_AGAIN_S = 86400.0
# A tick places orders for at most this long, so that a slow exchange doesn't keep it from looking at its
# fills.
ACT_FOR_S = 5.0
# The same limit where orders also wait for the share of the requests: a tick costs requests too, so that a
# small share places more orders in one long tick than in many.
ACT_AT_MOST_S = 60.0


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
        pace: Pace | None = None,
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
        self.price_at: float | None = None
        self.has_ticked = False
        self.paused = run.paused
        self._reconciler = Reconciler(store, exchange, market)
        self._stopping, self._clock = stopping, clock
        self._pace = Pace() if pace is None else pace
        self._closing = RunEnding.load(run.closing) if run.closing else None
        if self._closing is not None:
            self._pace.hurry()
        on_unnamed = self._reconciler.accept
        self._placing = Placing(store, exchange, settings.retry_cap, clock, shared.record_tick, on_unnamed)
        self._refusals = self._placing.refusals
        self._told = ToldOrders(store, lambda: self._watch.coins(clock()))
        self._is_clean = False
        self._log = TradeLog(market)
        self._left: Condition | None = None
        self._ran_s = run.ran_s
        self._ticked_at: float | None = None
        self._sampled_at = 0.0
        self._prepared = False
        self._outage_logged_at = self._held_up_logged_at = 0.0
        self._watch = PositionWatch(settings, exchange, store, market.base, self._pace)
        self._second_look, self._range_look = SecondLook(exchange), SecondLook(exchange)
        self._funding_read_at: float | None = None
        self._funding_known_at: float | None = None
        # A position that was taken over was paid for meanwhile, too; what the run before counted stays its.
        held_since = float(store.fact(HELD_SINCE) or run.started_at)
        self._funded_since = min(run.started_at, held_since - FUNDING_EVERY_S)
        is_funded = settings.live and settings.perp
        self.funding: Decimal | None = (store.funding or None) if is_funded else ZERO
        self.unsettled = 0
        self.figures, self._drawdown = RunFigures(store.path), DrawdownWatch(store, exchange)

    def tick(self) -> None:
        """Read the market once and act on it. Raises ExchangeError (retry later) or CompletedError (stop)."""
        now = self._clock()
        self._apply_pause_request()
        self.price = price = self.exchange.price()
        self.price_at = self._clock()
        if not self._prepared:
            log.info(self.strategy.prepare(self._second_look.market_price(price)))
            self._prepared = True
        result = self._reconciler.run(now)
        self.unsettled, self._is_clean = result.unsettled, result.is_clean
        self._watch.note_pass(result)
        if self._told.settle(result, now):
            self._watch.look_soon()
        if result.unclear is None:
            self._placing.foreign_ids = result.foreign_ids
        for fill, order, ledger_after in result.trades:
            self._log.fill(fill, order, ledger_after, self.price)
        self._placing.note_refused(result, now)
        self._count_time(now)
        self._check_account(now)
        self._drawdown.note(price, now, result.unsettled)
        self._decide(price, now)
        self._act(result, price, now)
        self._refusals.update(now, len(self.store.live_orders()))
        self._store_sample(price, now)
        self.has_ticked = True

    def react(self, words: Sequence[ToldFill] = ()) -> bool:
        """Look for new executions alone, and place at once what they call for. Return whether it ticked.

        That is one call before the order instead of three, and none where `words` tell clearly what was
        filled: then the look follows the order. The next tick reads everything. It does so now where nothing
        new is listed, or the bot is not just trading. Raises as `tick` does.
        """
        is_trading = self._closing is None and not self.paused and not self._refusals.is_active
        if not (self.has_ticked and is_trading and self.price and not self._watch.is_in_doubt):
            self.tick()
            return True
        with self._pace.urgent():
            self._act_on(words)
            result = self._reconciler.read_fills()
            self._told.note_booked()
            for fill, order, ledger_after in result.trades:
                self._log.fill(fill, order, ledger_after, self.price)
            if result.trades:
                # The market is where it has just traded, and no more at the last tick's price.
                self._act(result, result.trades[-1][0].price, self._clock())
        if result.trades:
            return False
        self.tick()
        return True

    def _act_on(self, words: Sequence[ToldFill]) -> None:
        """Place the counter orders of what was told (`told_orders`), before it is known to be true.

        Only where the last tick knew of each order whether it is open, and none is to be cancelled.
        """
        is_settled = self._is_clean and not (self._told.outdated_ids() or self._refusals.is_late)
        if not (words and is_settled) or self.store.outdated_order_ids():
            return
        is_over = self._pace.limit(ACT_FOR_S, ACT_AT_MOST_S)
        for request, cause in self._told.called_for(words, self.strategy, self._placing, self._clock):
            if self._must_not_place() or is_over():
                return
            self._log.placed(self._placing.place(request, self._clock(), cause))

    @property
    def awaits_proof(self) -> bool:
        """Tell whether an order rests whose reason the exchange's lists have not confirmed."""
        return self._told.awaits_proof

    def record_failure(self, err: ExchangeError, *, first: bool) -> None:
        """Store and log that a tick failed."""
        now = self._clock()
        self.store.samples.add_error(now, "exchange", str(err))
        self._ticked_at = None
        if first or not 0 <= now - self._outage_logged_at <= SUMMARY_EVERY_S:
            self._outage_logged_at = now
            log.warning("the exchange is out of reach, nothing is decided until it answers: %s", err)

    def condition(self) -> Condition:
        """Return what the bot is doing, as far as the exchange answers."""
        told = self._told.condition if self._closing is None else None
        if cause := self._watch.condition or told or self._refusals.condition():
            return cause if self._closing is None else self._closing.held_up_by(cause)
        if self._closing is not None:
            return self._closing.condition
        if self.paused:
            return PAUSED
        if self._left is not None:
            return self._left
        return replace(TRADING, params={"refused_orders": self._placing.count_refused()})

    @property
    def has_neighbours(self) -> bool:
        """Tell whether other bots of the fleet trade on this account and market."""
        return self._watch.has_neighbours

    def view(self) -> MarketView:
        """Return what the last tick has read of the market."""
        return MarketView(
            source=self.exchange.name,
            market=self.market,
            price=self.price,
            price_at=self.price_at,
            price_range=self.strategy.price_range(),
            funding=self.funding,
            min_order=self.market.smallest_order(self.price) if self.price else None,
            figures={**self.figures.values, **self._drawdown.figure, "order_latency": self._placing.latency},
        )

    def status(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return `report` with what the page shows besides."""
        return build_status(
            report,
            self.settings,
            self.store.ledger,
            self.store.live_orders(),
            is_paused=self.paused,
            unsettled=self.unsettled,
            account_position=self._watch.account,
            grid=self.strategy.describe() if self.price is not None else None,
        )

    def _apply_pause_request(self) -> None:
        requested = self.shared.pause_requested
        if requested is not None and requested != self.paused:
            self.paused = requested
            self.store.set_run(paused=int(requested))
            log.info("paused: cancelling orders" if requested else "resumed")

    def _check_account(self, now: float) -> None:
        self._watch.look(now)
        self._read_funding(now)

    def _read_funding(self, now: float) -> None:
        """Add the funding paid since the run began, where all of the account's position is this bot's."""
        if not (self.settings.live and self.settings.perp):
            return
        if self._funding_read_at is not None and 0 <= now - self._funding_read_at < FUNDING_EVERY_S:
            return
        self._funding_read_at, since = now, self._funded_since
        if self._funding_known_at is not None:
            since = max(since, min(self._funding_known_at, now) - FUNDING_AGAIN_S)
        try:
            payments = None if self._watch.others else self.exchange.funding(since)
        except ExchangeError as err:
            log.info("funding payments are unknown: %s", err)
            payments = None
        self._funding_known_at = None if payments is None else now
        if payments is not None:
            self.store.add_funding(payments)
        self.funding = None if payments is None else self.store.funding

    def _decide(self, price: Decimal, now: float) -> None:
        if self._closing is not None:
            return
        flatten = True
        condition = self._second_look.confirm(self._limit_reached, price, now)
        if condition is None and self.settings.duration and self._ran_s >= self.settings.duration:
            condition, flatten = duration_over(self.settings.duration), False
        if condition is None:
            condition, flatten = self._check_range(price, now)
        if condition is not None:
            effect = "closing the position" if flatten else "cancelling orders"
            log.warning("%s: %s", condition.reason, effect)
            self._closing = RunEnding(condition, flatten)
            self.store.set_run(closing=self._closing.dump())
            self._pace.hurry()

    def _limit_reached(self, price: Decimal) -> Condition | None:
        return risk.pnl_limit_reached(self.settings, self.store.pnl_since_begin(price))

    def _check_range(self, price: Decimal, now: float) -> tuple[Condition | None, bool]:
        """Move a range that the price left, or return how the run ends and whether its position closes."""
        bounds, settings = self.strategy.price_range(), self.settings
        self._left = risk.range_left(*bounds, Decimal(0), price) if bounds else None
        if bounds is None or not settings.boundary_check or self.paused:
            return None, False
        moves, may_move = settings.boundary_action == "adjust_range", self.strategy.can_move_range(now)
        if moves and not may_move:
            left = risk.range_left(*bounds, settings.boundary_tolerance, price)
            if left is not None:
                self._left = replace(left, params={**left.params, "moves_left": 0})
            return None, False
        left = self._range_look.confirm(
            lambda seen: risk.range_left(*bounds, settings.boundary_tolerance, seen), price, now
        )
        if left is None or (moves and self._drawdown.awaits_fills):  # the new cells share out the position
            return None, False
        if not moves:
            return risk.bound_reached(left), settings.boundary_action == "emergency_close"
        log.warning("%s: moving the range", left.reason)
        log.info(self.strategy.move_range(Decimal(left.params["price"]), now))  # what confirmed it, no print
        self._left = None
        return None, False

    def _act(self, result: Reconciliation, price: Decimal, now: float) -> None:
        live = self.store.live_orders()
        outdated = self.store.outdated_order_ids() | self._told.outdated_ids()
        cancel = [*result.reopened, *(order for order in live if order.client_id in outdated)]
        place: tuple[OrderRequest, ...] = ()
        if self._closing is not None:
            cancel = [*result.reopened, *(order for order in live if not order.market)]
            if not live:
                place = self._close_order(price)
        elif self.paused:
            cancel = [*result.reopened, *live]
        elif not (cancel or result.has_given_up):  # what that one has filled is read first
            late, told = self._placing.late.orders(now), self._told.unproven_ids()
            plan = self.strategy.plan(live, price, late, told)
            cancel, place = list(plan.cancel), plan.place
        is_over = self._pace.limit(ACT_FOR_S, ACT_AT_MOST_S)
        for order in cancel:
            if order.exchange_id is not None and not (self._stopping() or is_over()):
                self._placing.cancel(order, now)
        if self._watch.is_in_doubt:
            if place and self._closing is not None:
                self._say_held_up(self._closing, now)
            place = ()
        place = tuple(request for request in place if request.slot not in result.uncertain_slots)
        if self.paused:
            self._refusals.clear()
        elif self._refusals.is_active:
            place = tuple(self._placing.worth_trying(place, now))
        placed = [
            order
            for request in place
            if not (self._must_not_place() or is_over())
            for order in self._placing.place(request, now)
        ]
        self._log.placed(placed)

    def _say_held_up(self, ending: RunEnding, now: float) -> None:
        """Log once a minute that a position which is to be closed is not: its loss may grow."""
        if 0 <= now - self._held_up_logged_at <= SUMMARY_EVERY_S:
            return
        self._held_up_logged_at = now
        why = self._watch.condition.reason if self._watch.condition else "what the account holds is unclear"
        text = f"{ending.condition.reason}, and the position is NOT CLOSED: {why}"
        log.error("%s", text)
        self.store.samples.add_error(now, "not_closed", text)

    def _close_order(self, price: Decimal) -> tuple[OrderRequest, ...]:
        """Return the market order that closes the position. Raises CompletedError when it is closed."""
        assert self._closing is not None
        position = self.store.ledger.position
        qty = floor_to(abs(position), self.market.lot)
        if not self._closing.flatten or not self.market.is_tradable(qty, price):
            if position:
                log.warning("the position of %s %s is left as it is", as_text(position), self.market.base)
            raise CompletedError(self._closing.condition)
        # Reduce-only is the safer order, but where others trade on the account ours may be its smaller part.
        reduces = self.market.perp and self._is_reducible(position)
        side = ledger.closing_side(position)
        qty = self.market.one_order(qty, price, is_market=True)  # the rest follows with the next ticks
        return (OrderRequest("close", side, price, qty, market=True, reduce_only=reduces),)

    def _is_reducible(self, position: Decimal) -> bool:
        """Tell whether the account as a whole can be reduced by `position`, as far as it is known."""
        try:
            account = self.exchange.position()
        except UnclearError:
            return True
        return account is None or account / position >= 1

    def _must_not_place(self) -> bool:
        """Tell whether a stop or a pause was asked for while orders were being placed."""
        return self._stopping() or (self.shared.pause_requested is True and not self.paused)

    def _count_time(self, now: float) -> None:
        """Count trading time across restarts. An outage or a suspended machine counts as one interval."""
        if self._ticked_at is not None:
            self._ran_s += min(max(now - self._ticked_at, 0.0), 10 * self.settings.interval + 60)
        self._ticked_at = now

    def _store_sample(self, price: Decimal, now: float) -> None:
        if not 0 <= now - self._sampled_at < SAMPLE_EVERY_S:  # the clock may be set back
            self.add_sample(price, now)
            self.store.samples.thin_out(now)
            self._sampled_at = now
        self.figures.refresh(now)
        self._log.summary(now, price, self.store.ledger, self.store.live_orders)

    def add_sample(self, price: Decimal, now: float) -> None:
        """Add a point of the equity curve. The last one is what a run that takes over begins from."""
        store = self.store
        with store.samples.at_once():
            self._drawdown.note(price, now, self.unsettled)
            self._drawdown.keep(now)
            store.samples.add_equity(store.run_id, now, price, store.ledger, self.funding or ZERO)
            store.set_run(ran_s=self._ran_s)
