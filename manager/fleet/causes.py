"""Say why an instance is in its state: the note of `ps`, causes, a bot's last words. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from manager.engine import labels
from manager.fleet import doing, leftovers, supervisor_messages
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import PAUSED
from manager.fleet.supervisor_state import Cancel, LastExit, SupervisorState
from manager.i18n import Text, _, joined, listed, mark
from manager.util import formatting, kept_text

PROBED_WELL = "200"
"""The health detail of a bot whose last probe went well."""

RESTARTED_WITHIN_S = 15.0
"""By then a manager that has stopped a bot to start it again has done so."""

STAMP = r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?\s*(Z|[+-]\d\d:?\d\d)?\]?[\s:|-]*"
LEVEL = r"[\[(]?(DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL)[\])]?[\s:|-]+"
"""Time stamp and level begin a log line, and do not explain why a bot ended."""


def note(view: Instance, known: doing.Activity | None = None) -> str:
    """Return why it is in its state, and how it differs from its config. `known`: what its bot is doing."""
    now, supervisor = time.time(), view.supervisor
    activity = known or doing.activity(view, now)
    parts = []
    detail = f"({_(view.status.detail)})" if view.status.detail else ""
    is_down = view.status.state in {"stopped", "missing"}
    reason = activity.message(now)
    if is_down and view.tombstone is not None:
        parts.append(str(view.tombstone.short))
    elif is_down and view.saved.halted:
        parts.append(str(halted_by(view.saved)))
    elif is_down and view.saved.wish == "stopped":
        parts.append(str(stopped_by(view.saved)))
    elif reason is not None and not _says_more(view):
        parts.append(str(reason))
    elif view.status.why is not None:
        parts.append(str(stopped_by_others(view, now) or cause(view)))
    elif supervisor is not None and supervisor.last_exit and supervisor.restarts_total:
        parts.append(str(Text("last exit: {why}", why=of_last_exit(view))))
    if view.status.state == "restarting" and supervisor is not None and supervisor.next_restart_at:
        parts.append(str(_next_restart(supervisor, supervisor.next_restart_at)))
    if supervisor is not None and view.status.state == "failed" and supervisor.cancel is not None:
        parts.append(str(cancel_text(supervisor.cancel)))
    has_ended = activity.doing in doing.ENDS and not is_down
    if has_ended or (view.status.state != "restarting" and _has_left_something(view)):
        parts.append(str(leftovers.ending(view)))
    is_unknown = leftovers.is_left_unknown(view)
    is_gone = leftovers.may_have_left_orders(view) or (is_unknown and view.status.state == "missing")
    if is_gone or leftovers.orders_left(view):
        parts.append(str(_orders_left(view)))
    elif is_unknown:
        parts.append(str(_left_unknown(view)))
    elif leftovers.are_orders_unknown(view):
        killed = mark("it was killed: whether orders are left is unknown")
        text = killed if leftovers.was_killed(view) else mark("whether orders are left is unknown")
        parts.append(_(text))
    if age := age_of_figures(view, now):
        parts.append(age)
    if not parts and view.status.state == "missing" and leftovers.is_down_unasked(view):
        parts.append(str(creating(view)))
    if view.drift:
        parts.append(str(Text("drifted: {what}", what=listed(_(drift) for drift in view.drift))))
    if view.is_moved:
        parts.append(_("its folder was moved: `manager up` recreates it"))
    if view.is_rolled_back:
        parts.append(_("rolled back"))
    return " ".join(filter(None, (detail, joined(parts))))


def stopped_by(saved: InstanceState) -> Text:
    """Return who stopped it: a person, or `watch` and why."""
    because = kept_text.unkept(saved.stopped_because)
    return Text("stopped by a user") if because is None else Text("stopped by {because}", because=because)


def stopped_by_others(view: Instance, now: float) -> Text | None:
    """Return that somebody else has stopped its container, and how it ended; None where that is not so, or
    not known yet: a manager that restarts it stops it for a moment.
    """
    if view.status.state != "stopped" or not leftovers.is_down_unasked(view):
        return None
    if may_be_started_again(view, now):
        return None
    return Text("not stopped by the manager: {why}", why=view.status.why or "?")


def may_be_started_again(view: Instance, now: float) -> bool:
    """Return whether what has stopped unasked may just be restarted by a manager: nobody knows yet.

    The engine's list is a moment behind: its container may still be shown as running.
    """
    supervisor, saved = view.supervisor, view.saved
    if view.status.state != "stopped" or saved.wish == "stopped" or saved.halted is not None:
        return False
    if supervisor is None:  # a manager removes what the one before has left, just before its start
        down_for = None if view.container is None else view.container.down_seconds
        return down_for is not None and down_for < RESTARTED_WITHIN_S
    if supervisor.state not in {"stopped", "starting"}:
        return False
    last_exit = supervisor.last_exit  # long ago where its bot had failed, or waited for a restart
    ended_at = max(supervisor.updated_at, last_exit.at if last_exit is not None else 0.0)
    return abs(now - ended_at) < RESTARTED_WITHIN_S


def halted_by(saved: InstanceState) -> Text:
    """Return that it is halted, and by whom and why if no person did it."""
    because = kept_text.unkept(saved.halted_because)
    return Text("halted") if because is None else Text("halted by {because}", because=because)


def creating(view: Instance) -> Text:
    """Return what to do about an instance whose container somebody has removed."""
    return Text("no container; `manager up {id}` creates it", id=view.id)


def unpausing(view: Instance) -> tuple[str, ...]:
    """Return what resumes a bot that somebody has paused; nothing for any other."""
    if view.status.detail != PAUSED or view.container is None:
        return ()
    return (str(Text("`docker unpause {name}` resumes it", name=view.container.name)),)


def of_waiting(view: Instance) -> Text:
    """Return why it is not healthy yet, for a command that waits no longer: as far as anybody knows."""
    if text := note(view):
        return Text("{why}", why=text)
    if view.status.state != "starting":
        return Text("cause unknown")
    supervisor = view.supervisor
    if supervisor is None or view.container is None or supervisor.container != view.container.id:
        return Text("its supervisor has not reported yet")
    if supervisor.bot_pid is None:
        return Text("its bot has not been started yet")
    why = supervisor_messages.message(supervisor.health_reason, supervisor.health_detail)
    if why is None or supervisor.health_detail == PROBED_WELL:
        return Text("its bot has just been started")
    return Text("its bot is not ready yet: {why}", why=why)


def of_last_exit(view: Instance) -> Text | None:
    """Return how its bot has last ended, with the last line that it wrote; None if it has not ended yet."""
    last_exit = view.supervisor.last_exit if view.supervisor is not None else None
    if last_exit is None:
        return None
    words = _last_line_of(last_exit)
    return Text("{why}: {quoted}", why=last_exit.message, quoted=words) if words else last_exit.message


def _has_left_something(view: Instance) -> bool:
    """Return whether no bot runs, and a position of real money, or dust of it, is or may be left."""
    is_down = view.status.own_state in leftovers.ENDED
    is_real = view.mode == "live" and view.tombstone is None
    return leftovers.has_left_money(view) or (is_down and is_real and leftovers.has_left_dust(view))


def _orders_left(view: Instance) -> Text:
    """Return what is known of the orders that a live bot has left."""
    told = view.report.orders_left if view.report is not None else None
    if count := told or leftovers.orders_left(view):
        if view.status.state == "missing":
            return Text(
                "{count} open orders left: cancel them at the exchange, then `manager down {id}` ends this"
                " note",
                count=count,
                id=view.id,
            )
        return Text("{count} open orders left", count=count)
    if view.spec is None:
        return Text(
            "its container and its config are gone: whether orders are left is unknown; `manager down {id}`"
            " ends this note",
            id=view.id,
        )
    if leftovers.is_left_unknown(view):
        return Text(
            "its container is gone: whether orders are left is unknown; look at the exchange, then `manager"
            " down {id}` ends this note",
            id=view.id,
        )
    return Text("its container is gone: whether orders are left is unknown")


def _left_unknown(view: Instance) -> Text:
    """Return that nobody knows what is left, and what to do about it, for an instance with a container."""
    if view.mode == "paper":
        return Text(
            "unknown what its live run has left at the exchange: look there, then `manager down {id}` ends"
            " this note",
            id=view.id,
        )
    if view.container is not None and labels.OPEN_ORDERS not in view.container.labels:
        return Text("unknown what is left at the exchange: look there, as its image has no program that asks")
    return Text("unknown what is left at the exchange: `manager orders {id}` asks again", id=view.id)


def age_of_figures(view: Instance, now: float) -> str:
    """Return how old the figures of a running bot are that has not reported since, or has no new price; else
    "".
    """
    kept_report, of = view.report, doing.figures_at(view, now) if view.is_bot_up else None
    if kept_report is None or kept_report.has_ended or of is None:
        return ""
    if kept_report.report.pnl is None and kept_report.report.position is None:
        return ""
    return str(Text("P&L and position: {age} ago", age=formatting.elapsed(now - of) if of else "?"))


def _says_more(view: Instance) -> bool:
    """Return whether the reason for the state matters more than what the bot was doing."""
    return view.status.state not in {"running", "completed", "stopped", "missing", "orphan"}


def cancel_text(cancel: Cancel) -> Text:
    """Return the progress of cancelling a failed live bot's orders."""
    match cancel.state:
        case "confirmed":
            return Text("its orders are cancelled")
        case "running":
            return Text("its orders are being cancelled")
        case _:
            why = cancel.message or Text("cause unknown")
            if words := _last_line(cancel.stderr_tail):
                why = Text("{why}: {quoted}", why=why, quoted=words)
            return Text("its orders are NOT cancelled yet: {why} (try {count})", why=why, count=cancel.tries)


def cause(view: Instance) -> str:
    """Return why it is in its state, with the last message of a failed bot; empty if there is no reason."""
    supervisor, why = view.supervisor, str(view.status.why or "")
    if (
        view.status.state not in {"failed", "restarting"}
        or supervisor is None
        or supervisor.last_exit is None
    ):
        return why
    last = last_words(view)
    return str(Text("{why}: {quoted}", why=why, quoted=last)) if last else why


def last_words(view: Instance) -> str:
    """Return why the bot ended: its final report's reason, else its last log line."""
    kept_report, supervisor = view.report, view.supervisor
    if (
        kept_report is not None
        and kept_report.has_ended
        and not kept_report.is_previous
        and kept_report.report.is_final
        and kept_report.report.reason
    ):
        return kept_report.report.reason
    last_exit = supervisor.last_exit if supervisor is not None else None
    return "" if last_exit is None else _last_line_of(last_exit)


def _last_line_of(last_exit: LastExit) -> str:
    """Return the last line of a bot that has ended: of one that was killed with its stamp, as it could not
    say why. What it warned of may be long past.
    """
    if last_exit.signal is not None:
        return next((line.strip() for line in reversed(last_exit.stderr_tail) if line.strip()), "")
    return _last_line(last_exit.stderr_tail)


def _last_line(lines: Sequence[str]) -> str:
    """Return the last line that says something, without stamp and level; empty where none does."""
    return next((words for line in reversed(lines) if (words := without_stamp(line))), "")


def without_stamp(line: str) -> str:
    """Return a log line without time stamp and level, or the whole line if nothing else is in it."""
    text = line.strip()
    rest = re.match(STAMP, text)
    words = text[rest.end() :] if rest else text
    level = re.match(LEVEL, words)
    return (words[level.end() :] if level else words) or text


def _next_restart(supervisor: SupervisorState, at: float) -> Text:
    seconds = max(0, round(at - time.time()))
    if supervisor.next_restart_is_free:
        return Text(
            "restart in {seconds} s, which is not counted: it had said that it cannot work", seconds=seconds
        )
    return Text(
        "restart {count} of {most} in {seconds} s",
        count=supervisor.restarts_in_a_row,
        most=supervisor.restarts_max,
        seconds=seconds,
    )
