"""Tell which case of a condition is present: a condition that was said may become another one. Pure.

A case that is worse than what was said, or of another cause, is said too: a position that differs and then
cannot be read, an exchange that is away and then bans the address, a bot that fails once more.
"""

from __future__ import annotations

import re
from typing import Any

from manager.fleet.doing import Activity
from manager.fleet.instance import Instance
from manager.i18n import Text
from manager.util.kept_text import english

REFUSES_FROM = 500
"""HTTP status by which a bot itself says that it cannot work."""

OOM_EVERY_S = 3600.0
"""A bot that runs out of memory does so again and again: one is told in each of these."""

VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12,}\b|\d+")
"""What differs each time that the same thing is said: ids, ports, times."""


def of_text(text: Text) -> str:
    """Return the case that a cause in words is: the same in each language, and without what varies."""
    return VARYING.sub("#", english(text))


def of_instance(view: Instance, kind: str, activity: Activity) -> str | None:
    """Return the case of an instance's condition; None for one that is always the same."""
    params = activity.condition.params if activity.condition is not None else {}
    match kind:
        case "orders_refused" if params.get("cause") == "other" and params.get("code"):
            return f"other: {params['code']}"
        case "exchange_away" | "orders_refused" | "ledger_differs":
            return str(params.get("cause") or "differs")
        case "out_of_range":
            return str(params.get("side") or "")
        case "stopped_out":
            return _of_stop(view, activity)
        case "failed" | "completed":
            return _of_end(view)
        case "unhealthy":
            return _of_probe(view)
        case "restarting" | "restart_loop":
            last = view.supervisor.last_exit if view.supervisor is not None else None
            return None if last is None else f"{last.signal or last.code}"
        case "oom":
            last = view.supervisor.last_exit if view.supervisor is not None else None
            return None if last is None else f"{int(last.at // OOM_EVERY_S)}"
        case "cancel":
            cancel = view.supervisor.cancel if view.supervisor is not None else None
            return None if cancel is None else _code(cancel.reason)
        case "down":
            return "stopped" if view.container is not None else "no container" if view.spec else "no config"
        case _:
            return None


def _of_stop(view: Instance, activity: Activity) -> str | None:
    """Return whether it closes, cannot close, or has ended; each end is another one."""
    if view.status.own_state == "running":
        return "closing" if activity.doing == "stopped out" else f"held up: {activity.doing}"
    return _of_end(view)


def _of_end(view: Instance) -> str | None:
    """Return which end it is: one that follows a start by a person is another one."""
    supervisor = view.supervisor
    if supervisor is None:
        return None
    last = supervisor.last_exit
    return f"{_code(supervisor.reason) or ''} {'' if last is None else round(last.at)}"


def _of_probe(view: Instance) -> str | None:
    """Return whether the bot says that it cannot work, or says nothing."""
    reason: Any = view.supervisor.reason if view.supervisor is not None else None
    code = _code(reason)
    if code is None:
        return None
    status = (reason.get("params") or {}).get("status") if code == "http_status" else None
    return "refuses" if isinstance(status, int) and status >= REFUSES_FROM else "silent"


def _code(reason: object) -> str | None:
    code = reason.get("code") if isinstance(reason, dict) else None
    return code if isinstance(code, str) else None
