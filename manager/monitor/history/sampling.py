"""Make samples from what `watch` observes, and thin them out with age. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

from manager.fleet import causes, doing, leftovers
from manager.fleet.bot_report import Report, for_mode
from manager.fleet.exits import Exit
from manager.fleet.instance import Instance
from manager.fleet.supervisor_state import SupervisorState
from manager.monitor.history.model import STATE_CODE, Event, Sample
from manager.util import formatting, kept_text

EVERY_S = 60.0
"""Between two samples of an instance. A change of state has one of its own."""
DAY_S = 86400
REPORTED = frozenset({"running", "completed"})
"""States of which a bot's own word says more than its supervisor's: an exit code of 0 tells nothing."""
DEGRADED = "degraded"
"""The supervisor's reason while its bot runs and says what keeps it from trading."""
TIERS: Sequence[tuple[float, float]] = ((2 * DAY_S, 600), (14 * DAY_S, 3600), (120 * DAY_S, 21600))
"""(age, period): from that age on, one sample per period is kept, and the lowest and the highest P&L within
it.

An instance has some ten thousand samples after two years, in 2 MB.
"""


def sample(view: Instance, answer: Report | None, now: float) -> Sample:
    """Return what is known of the instance now.

    `answer`: that of its page, for a bot that leaves no report.
    """
    state = view.status.own_state
    kept_report = view.report
    report = (
        None
        if kept_report is None or (kept_report.is_previous and state == "starting")
        else kept_report.report
    )
    if answer is not None and (report is None or report.contract is None):
        report = for_mode(answer, view.mode)
    supervisor = view.supervisor
    sample = Sample(
        now,
        state,
        doing.activity(view, now).doing,
        view.mode or "",
        start=supervisor.bot_started_at if supervisor is not None else None,
    )
    if report is None:
        return sample
    return sample._replace(
        kind=(report.market if report.is_artificial else view.mode) or "",
        run=report.run_began,
        quote=report.quote,
        base=report.base,
        pnl=report.pnl,
        realized=report.realized,
        fees=report.fees,
        position=report.position,
        price=report.price,
        trades=report.trades,
    )


def is_due(before: Sample | None, now: Sample) -> bool:
    """Return whether a sample is worth keeping: at a change, and again and again while a bot runs."""
    if before is None or (before.state, before.doing) != (now.state, now.doing):
        return True
    if now.at < before.at:  # the clock was set back: what it said before must not silence this
        return True
    if now.state in leftovers.ENDED and before._replace(at=now.at) == now:
        return now.at - before.at >= DAY_S
    return now.at - before.at >= EVERY_S


def is_other_run(before: Sample | None, now: Sample) -> bool:
    """Return whether a run has begun or ended since the sample before."""
    if before is None:
        return False
    has_begun = now.run is not None and (before.run is None or abs(now.run - before.run) >= 1)
    return has_begun or (now.state == "completed" and before.state != "completed")


def exits(supervisor: SupervisorState | None, kept: Sequence[Exit]) -> tuple[Exit, ...]:
    """Return the exits that are known of an instance, oldest first.

    `kept`: those in its supervisor's file; an earlier version's supervisor tells of the last one only.
    """
    last = supervisor.last_exit if supervisor is not None else None
    if last is None or any(exit_.at == last.at for exit_ in kept):
        return tuple(kept)
    return (*kept, Exit(last.at, last.why, last.reason))


def exit_events(instance: str, exits: Iterable[Exit]) -> list[Event]:
    """Return exits as the history keeps them."""
    return [Event(exit_.at, instance, "exit", exit_.why, _with_begin(exit_)) for exit_ in exits]


def _with_begin(exit_: Exit) -> object:
    if exit_.began is None or not isinstance(exit_.reason, Mapping):
        return exit_.reason
    return {**exit_.reason, "began": exit_.began}


def began(event: Event) -> float | None:
    """Return when the bot was started that has ended then; None if it could not be, or is not known."""
    at = event.reason.get("began") if isinstance(event.reason, Mapping) else None
    return at if isinstance(at, float) else None


def events(view: Instance, before: Sample | None, now: Sample) -> list[Event]:
    """Return the state that has begun since the sample before, if it is another one."""
    if before is not None and (before.state, before.doing) != (now.state, now.doing):
        return [_state_event(view, now)]
    return []


def _state_event(view: Instance, now: Sample) -> Event:
    """Return the state that begins, as a code with parameters: the reader's language is not `watch`'s."""
    supervisor = view.supervisor
    is_told = (now.state, now.doing) != ("running", "trading")
    if supervisor is None or supervisor.state != now.state or not is_told:
        # What it says is of another state.
        why, cause = None, None
    else:
        why, cause = supervisor.why, supervisor.reason
    if isinstance(cause, Mapping) and cause.get("code") == DEGRADED:
        why, cause = None, None  # that is what it is doing
    words = [now.state, *([now.doing] if now.doing else [])]
    last = causes.last_words(view) if now.state in {"failed", "restarting"} else ""
    params = {"state": now.state, "doing": now.doing, "why": why, "cause": cause, "last": last}
    reported = doing.activity(view, now.at).message(now.at) if is_told and now.state in REPORTED else None
    if now.state == "stopped":
        reported = causes.stopped_by_others(view, now.at)
    if reported is not None:
        why = kept_text.english(reported)
        params |= {"why": why, "cause": None, "reported": kept_text.kept(reported)}
    text = ": ".join(part for part in (", ".join(words), why, last) if part)
    return Event(now.at, view.id, "state", text, {"code": STATE_CODE, "params": params})


def superfluous(samples: Iterable[Sample], now: float) -> list[float]:
    """Return the moments of the samples that are thinned out, of one instance's in the order of time.

    The last one of each local day stays, so that a day's P&L is what it was, and each one at which something
    changed.
    """
    dropped: list[float] = []
    ordered = list(samples)
    changes = {
        sample.at
        for before, after in pairwise(ordered)
        if _identity(before) != _identity(after)
        for sample in (before, after)
    }
    for bucket, group in groupby(ordered, key=lambda sample: _bucket(sample.at, now)):
        members = list(group)
        if not bucket[0]:
            continue
        known = [sample for sample in members if sample.pnl is not None]
        times = {members[-1].at, *changes}
        if known:
            times |= {ordered[0].at, min(known, key=_pnl).at, max(known, key=_pnl).at}
        dropped += [sample.at for sample in members if sample.at not in times]
    return dropped


def _pnl(sample: Sample) -> float:
    return float(sample.pnl or 0)


def _identity(sample: Sample) -> tuple[object, ...]:
    return sample.state, sample.kind, sample.run, sample.start, sample.quote


def _bucket(at: float, now: float) -> tuple[float, str, float]:
    """Return the period of a sample; period 0 for one that is kept in any case."""
    period = max((period for age, period in TIERS if now - at >= age), default=0.0)
    if not period:
        return 0.0, "", at
    return period, formatting.day(at), at // period
