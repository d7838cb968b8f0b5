"""Run tick after tick until the run ends or a stop is requested."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from gridbot.exchanges.price_sources import EndOfDataError
from gridbot.model.condition import Code, Condition
from gridbot.model.errors import EXIT_COMPLETED, ExchangeError, KeysError, UnauthorizedError
from gridbot.model.types import ToldFill
from gridbot.runtime.log import log
from gridbot.runtime.pace import Pace
from gridbot.runtime.report_file import ReportFile
from gridbot.runtime.stop_signal import StopSignal
from gridbot.trading.dead_man_switch import DeadManSwitch
from gridbot.trading.engine import Engine
from gridbot.trading.fill_watch import FillWatch
from gridbot.trading.outage import Outage
from gridbot.trading.retry import RetryPauses, wait
from gridbot.trading.run_ending import CompletedError
from gridbot.trading.status import build_report

# While an order rests whose reason the exchange's lists have not confirmed, they are asked this often.
PROOF_EVERY_S = 1.0
# One refused signature may come from a clock that was being set; this many in a row mean wrong keys.
MAX_UNAUTHORIZED = 3


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Hold how the loop ended. A run that is not `completed` is resumed at the next start.

    `condition` is None when the end has nothing to do with what the bot was doing.
    """

    code: int
    why: str
    completed: bool = False
    condition: Condition | None = None


def run_loop(
    engine: Engine,
    stop: StopSignal,
    report_file: ReportFile,
    switch: DeadManSwitch,
    pace: Pace,
    watch: FillWatch,
) -> RunEnd:
    """Tick until the run is complete or a stop is requested. Raises BotError.

    A fill that `watch` tells of is looked for at once, and every interval has its tick all the same.
    An exchange that is away never ends the loop. It pauses for longer and longer until an answer comes.
    """
    settings, shared = engine.settings, engine.shared
    outage, pauses = Outage(settings.out_of_reach), RetryPauses(settings.interval, settings.retry_cap)
    failures = unauthorized = 0
    ticked_at = float("-inf")
    while not stop.is_set():
        began = time.monotonic()
        try:
            has_news, words = watch.take() and not failures, watch.words()
            is_due = not has_news or began - ticked_at >= settings.interval
            if _go_on(engine, stop, words if has_news else None, is_due=is_due):
                ticked_at = began
            switch.renew()
            if failures:
                log.info("the exchange answers again")
                outage.clear()
                pauses.reset()
            failures = unauthorized = 0
            # What was told does not put off the next tick.
            resume_at = ticked_at + settings.interval
            if engine.awaits_proof:
                resume_at = min(resume_at, began + PROOF_EVERY_S)
        except ExchangeError as err:
            failures += 1
            unauthorized = unauthorized + 1 if isinstance(err, UnauthorizedError) else 0
            if unauthorized >= MAX_UNAUTHORIZED:
                raise KeysError(f"{settings.exchange} doesn't accept the keys: {err}") from err
            outage.record(err, time.time())
            engine.record_failure(err, first=failures == 1)
            # The exchange counts from its answer, which may come long after the beginning.
            resume_at = time.monotonic() + pauses.after(err)
        except CompletedError as err:
            return RunEnd(EXIT_COMPLETED, str(err), completed=True, condition=err.condition)
        except EndOfDataError:
            condition = Condition(Code.FINISHED, "the replay is over", {"by": "replay"})
            return RunEnd(EXIT_COMPLETED, "the replay is over", completed=True, condition=condition)
        if watch.is_open:
            watch.note_trades(engine.store.ledger.trades)
        publish(engine, outage, report_file)
        share_pause = pace.pause()
        watch.is_muted = failures > 0 or share_pause > 0
        wait(shared, stop, max(resume_at - time.monotonic(), share_pause, 0))
    return stopped(stop)


def _go_on(engine: Engine, stop: StopSignal, words: Sequence[ToldFill] | None, *, is_due: bool) -> bool:
    """React to what was told, and tick where that is due. Return whether there was a tick.

    The words come first: a tick asks for all lists before it places anything. However many there are, they
    are one reaction, and the tick follows it.
    """
    has_ticked = words is not None and engine.react(words)
    if is_due and not (has_ticked or stop.is_set()):
        engine.tick()
        return True
    return has_ticked


def stopped(stop: StopSignal) -> RunEnd:
    """Return the end of a loop that a stop request ended. One from the page completes the run."""
    why = stop.reason or "stopped"
    condition = Condition(Code.FINISHED, why, {"by": "page"}) if why == StopSignal.BY_PAGE else None
    return RunEnd(EXIT_COMPLETED, why, condition=condition)


def publish(engine: Engine, outage: Outage, report_file: ReportFile) -> None:
    """Hand the state after a tick to the web threads and the supervisor."""
    shared, store = engine.shared, engine.store
    condition = outage.condition(len(store.live_orders())) or engine.condition()
    report = build_report(engine.settings, store, engine.view(), condition)
    shared.record_tick()
    shared.has_begun = True
    shared.status = engine.status(report)
    # A bot that has not completed a tick yet is starting, unless an outage keeps it from that.
    if engine.has_ticked or condition.is_degraded:
        shared.condition = condition
        report_file.update(report, has_neighbours=engine.has_neighbours)
