"""Format the state file, for the manager, and the verdict, for the engine."""

import time

from supervisor import files, host, json_text
from supervisor.health import Health
from supervisor.reasons import Reason

SCHEMA = 1
CANCEL_CONFIRMED = "confirmed"
TERMINAL = ("failed", "completed")
MAX_COUNT = 10**9  # the bot can write the file too, and no number in it may be more than we can reckon with
MAX_DEPTH = 20  # of what a supervisor writes: reasons in reasons
LOCKED = "locked"  # never in the file: another supervisor owns it
GOOD = ("running", "completed")  # states that the engine calls healthy; a completed run is no fault


class Record:
    """Hold the content of supervisor.json. Times are seconds since the epoch, for display only."""

    def __init__(self, instance: str, container: str) -> None:
        self.instance = instance
        self.container = container
        self.state = "starting"
        self.why: str | None = None
        self.reason: dict[str, object] | None = None  # `why` as a code with parameters
        self.bot_pid: int | None = None
        self.bot_started_at: float | None = None
        self.supervisor_started_at = time.time()
        self.health_interval = 30.0
        self.healthy: bool | None = None
        self.is_starting = False  # as the bot itself says
        self.ever_healthy = False  # since the container was created
        self.checked_at: float | None = None
        self.failures = 0
        self.detail: str | None = None
        self.health_reason: dict[str, object] | None = None
        self.condition: dict[str, object] | None = None
        self.condition_since: float | None = None
        self.in_a_row = 0
        self.total = 0
        self.max = 0
        self.since_healthy = 0  # restarts of any kind since the last healthy spell
        self.next_is_free = False  # whether the restart that is due does not count
        self.unanswered = 0  # free ones since the bot has last answered
        self.next_due: float | None = (
            None  # monotonic, so that a clock that steps does not make `next_at` wrong
        )
        self.last_exit: dict[str, object] | None = None
        self.anchor_pid: int | None = None
        self.cancel: dict[str, object] | None = None
        self.dropped = {"stdout": 0, "stderr": 0}  # lines
        self.over_limit = {"stdout": 0, "stderr": 0}  # lines of this day

    def enter(self, state: str, reason: Reason | None) -> None:
        """Set the state, with its reason as a sentence and as a code."""
        self.state = state
        self.why = None if reason is None else str(reason)
        self.reason = None if reason is None else reason.as_json()

    def set_health(self, health: Health) -> None:
        """Take over what the probes of this run have come to."""
        self.healthy, self.failures, self.is_starting = health.ok, health.failures, health.is_starting
        self.ever_healthy = self.ever_healthy or health.ok is True
        self.detail = "200" if health.ok else None if health.reason is None else str(health.reason)
        self.health_reason = None if health.reason is None else health.reason.as_json()
        if health.condition is None:
            self.condition_since = None
        elif self.condition is None or self.condition["code"] != health.condition["code"]:
            self.condition_since = time.time()
        self.condition = health.condition

    @property
    def is_halted(self) -> bool:
        """Return whether no bot runs because of a halt mark.

        This is intended, so the engine may call it healthy.
        """
        return self.state == "stopped" and self.reason is not None and self.reason["code"] == "halted"

    @property
    def is_cancel_confirmed(self) -> bool:
        """Return whether the exchange has confirmed, perhaps to an earlier supervisor, that no order is
        left.
        """
        return self.cancel is not None and self.cancel.get("state") == CANCEL_CONFIRMED

    def as_json(self, wall: float, uptime: float) -> dict[str, object]:
        """Return the content of supervisor.json."""
        return {
            "schema": SCHEMA,
            "instance": self.instance,
            "container": self.container,
            "state": self.state,
            "why": self.why,
            "reason": self.reason,
            "bot_pid": self.bot_pid,
            "anchor_pid": self.anchor_pid,
            "bot_started_at": self.bot_started_at,
            "supervisor_started_at": self.supervisor_started_at,
            "updated_at": wall,
            "updated_uptime": uptime,
            "health_interval": self.health_interval,
            "health": {
                "ok": self.healthy,
                "ever_ok": self.ever_healthy,
                "checked_at": self.checked_at,
                "failures": self.failures,
                "starting": self.is_starting,
                "detail": self.detail,
                "reason": self.health_reason,
                "condition": self.condition and {**self.condition, "since": self.condition_since},
            },
            "restarts": {
                "in_a_row": self.in_a_row,
                "total": self.total,
                "max": self.max,
                "since_healthy": self.since_healthy,
                "unanswered": self.unanswered,
                "next_is_free": self.next_is_free,
                "next_at": self.next_due and round(wall + self.next_due - time.monotonic(), 1),
            },
            "last_exit": self.last_exit,
            "cancel": self.cancel,
            "logs_dropped": dict(self.dropped),
            "logs_over_limit": dict(self.over_limit),
        }

    def resume(self, old: dict[str, object]) -> None:
        """Copy a terminal state that an earlier supervisor of this container has written."""
        self.state = str(old["state"])
        self.why = str(old["why"]) if old.get("why") else None
        reason = old.get("reason")
        self.reason = reason if isinstance(reason, dict) else None
        last_exit = old.get("last_exit")
        self.last_exit = last_exit if isinstance(last_exit, dict) else None
        cancel = old.get("cancel")
        self.cancel = cancel if isinstance(cancel, dict) else None
        self.in_a_row = count(_get(old, "restarts", "in_a_row"))
        self.total = count(_get(old, "restarts", "total"))
        self.since_healthy = count(_get(old, "restarts", "since_healthy"))


def load_terminal(path: str, container: str) -> dict[str, object] | None:
    """Return the state file's content if it holds a terminal state of this container."""
    old = load(path)
    if old is None or old.get("container") != container or old.get("state") not in TERMINAL:
        return None
    return old


def load_outage(path: str, container: str) -> tuple[int, int, int] | None:
    """Return `in_a_row`, `since_healthy` and `unanswered` of the state file if this container's last bot had
    said that it cannot work, and had not been healthy since; else None. One that never was healthy cannot
    run.
    """
    old = load(path)
    if old is None or old.get("container") != container or old.get("state") in TERMINAL:
        return None
    if _get(old, "health", "ever_ok") is False:
        return None
    in_a_row, since_healthy, unanswered = (
        count(_get(old, "restarts", name)) for name in ("in_a_row", "since_healthy", "unanswered")
    )
    status = _get(old, "health", "reason", "params", "status")
    has_refused = _get(old, "health", "ok") is False and type(status) is int and status >= 500
    has_refused = has_refused and _get(old, "health", "starting") is not True  # a start is no outage
    return (in_a_row, since_healthy, unanswered) if since_healthy > in_a_row or has_refused else None


def load_ever_healthy(path: str, container: str) -> bool:
    """Return whether a bot of this container is known to have been healthy once."""
    old = load(path)
    return old is not None and old.get("container") == container and _get(old, "health", "ever_ok") is True


def load_start(path: str, container: str) -> float | None:
    """Return when this container was last started; None if the state file does not say."""
    old = load(path)
    at = old.get("supervisor_started_at") if old is not None and old.get("container") == container else None
    return at if isinstance(at, float) else None


def _get(value: object, *path: str) -> object:
    """Return a member of a member of a JSON object, None where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def count(value: object) -> int:
    """Return a count of a state file; 0 for what is none."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else 0


def is_within(value: object, depth: int) -> bool:
    """Return whether a value of JSON is nested no more than `depth` times."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(is_within(part, depth - 1) for part in parts)


def load(path: str) -> dict[str, object] | None:
    """Return the state file's content; None when there is none or it cannot be used."""
    try:
        old = json_text.loads(files.read_small(path, follow=False))
    except (OSError, ValueError, RecursionError):
        return None
    return old if isinstance(old, dict) and is_within(old, MAX_DEPTH) else None


def save(path: str, record: Record, *, durable: bool) -> None:
    """Write the state file."""
    content = json_text.dumps(record.as_json(time.time(), host.uptime()), indented=True)
    files.replace(path, content.encode("utf-8", "replace") + b"\n", durable=durable)


def verdict(state: str, why: str | None, until: float, *, halted: bool = False) -> str:
    """Return the line for the engine's health check, which is valid until `until` (seconds of
    /proc/uptime).
    """
    if state in GOOD or halted:
        return f"ok {until:.0f}\n"
    reason = " ".join((why or "").split())[:300]
    return f"bad {until:.0f} {state}{': ' + reason if reason else ''}\n"
