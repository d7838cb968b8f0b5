"""Read what supervisors write: `supervisor.json` and `report.json` of each instance (docker/README.md).

A bot can write into the same folder, so nothing here waits, follows a symlink, reads without a limit, or
trusts a type.
"""

import fcntl
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from manager.fleet import lock, supervisor_messages
from manager.i18n import Text
from manager.typed import Any, NamedTuple
from manager.util import kernel_file, strict_json
from manager.util.kept_content import MOST, KeptContent
from manager.util.late_pattern import late_pattern
from manager.util.sanitize import replace_unprintable

STATE_FILE = "supervisor.json"
REPORT_FILE = "report.json"
LOCK_FILE = "supervisor.lock"
MAX_BYTES = 1 << 20
MAX_TEXT = 1000
MAX_NUMBER = 1e11  # of times and counts
MAX_LINES = 20
FINAL = frozenset({"failed", "completed"})
"""States that outlive restarts of container and engine."""
STALE_INTERVALS = 3
STALE_MARGIN_S = 5.0
"""A probe may take its whole time-out before the supervisor writes again."""
NEWER_KEYS = ("anchor_pid", "cancel", "condition")
"""Each was added with a feature, and is null while unused: without the key there is no such feature."""
MAX_PARAMS = 16
MAX_PARAM = 200
"""Characters of a condition's parameter."""
CODE = late_pattern(r"[a-z][a-z0-9_]{0,39}")
BEAT = ("updated_at", "updated_uptime", "checked_at")
"""What is written anew at each probe, the last one of its member `health`, where nothing has happened."""
_states = KeptContent(lambda path: _decoded_anew(path))
_decoded_before: dict[str, tuple[object, "SupervisorState"]] = {}
"""File → its content without the beat, and what was made of it."""
MOST_KEPT = 1 << 13
"""Bytes of such a content: some 1,000 are usual, but a bot can write it, too."""


class Condition(NamedTuple):
    """Hold what a bot says that it is doing: a code of the contract (docker/README.md), or an unknown one.

    `since`: when the supervisor first saw that code; None if the bot itself reported it.
    """

    code: str
    params: Mapping[str, object] = MappingProxyType({})
    since: float | None = None


class Cancel(NamedTuple):
    """Hold the progress of cancelling a failed live bot's orders: `running`, `failing` or `confirmed`."""

    state: str
    open_orders_left: int | None = None
    tries: int = 0
    why: str | None = None
    reason: object = None
    stderr_tail: tuple[str, ...] = ()

    @property
    def message(self) -> Text | None:
        """Return why the last try did not cancel the orders."""
        return supervisor_messages.message(self.reason, self.why)


class LastExit(NamedTuple):
    """Hold how the bot last ended.

    `why`: the supervisor's English sentence; `reason`: code and parameters.
    """

    code: int | None
    signal: str | None
    oom: bool
    killed: bool
    at: float
    why: str
    stderr_tail: tuple[str, ...]
    reason: object = None
    ran_s: float | None = None

    @property
    def message(self) -> Text:
        """Return why it ended."""
        return supervisor_messages.message(self.reason, self.why) or Text("{why}", why=self.why)


class SupervisorState(NamedTuple):
    """Hold one supervisor's last state. Times are Unix time; `updated_uptime` is on the host's uptime clock.

    `why`: the English reason for the state; `reason`: its code with parameters, as in the file.
    """

    container: str
    state: str
    why: str | None
    bot_pid: int | None
    bot_started_at: float | None
    updated_at: float
    updated_uptime: float
    health_interval: float
    restarts_in_a_row: int
    restarts_total: int
    restarts_max: int
    next_restart_at: float | None
    health_detail: str | None
    last_exit: LastExit | None
    reason: object = None
    anchor_pid: int | None = None
    """A process that lives as long as the supervisor keeps the bot running, through the bot's restarts."""
    restarts_since_healthy: int = 0
    next_restart_is_free: bool = False
    """Whether the restart that is due does not count."""
    health_checked_at: float | None = None
    health_reason: object = None
    is_starting: bool = False  # as the bot itself has said to the last probe
    health_condition: Condition | None = None
    """Why a degraded bot cannot trade now."""
    cancel: Cancel | None = None
    lines_over_limit: int = 0
    """Lines of this day that are in no dated file, because these have reached their limit."""
    lacks: frozenset[str] = frozenset()
    """Those of `NEWER_KEYS` that are not in the file: its supervisor is of an earlier version."""
    started_at: float | None = None

    @property
    def message(self) -> Text | None:
        """Return the reason for the state."""
        return supervisor_messages.message(self.reason, self.why)

    @property
    def is_halted(self) -> bool:
        """Return whether the supervisor found a halt mark: its container is up and locked, but no bot runs in
        it.
        """
        code = self.reason.get("code") if isinstance(self.reason, dict) else None
        return self.state == "stopped" and code == "halted" and self.bot_pid is None

    def is_older_than_boot(self, uptime: float) -> bool:
        """Return whether the state was written before the host's last boot."""
        return self.updated_uptime > uptime

    @property
    def fresh_until(self) -> float:
        """Return the uptime after which three probe intervals have passed since it was written."""
        return self.updated_uptime + STALE_INTERVALS * self.health_interval + STALE_MARGIN_S

    def is_stale(self, uptime: float) -> bool:
        """Return whether nothing was written for three probe intervals, or since this boot."""
        return not self.updated_uptime <= uptime <= self.fresh_until


def read(state_dir: Path) -> SupervisorState | None:
    """Return the supervisor's state; None if there is none that can be read."""
    try:
        return _states.of(f"{state_dir}/{STATE_FILE}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def open_orders_left(state_dir: Path) -> int | None:
    """Return the open orders that the bot reported when it ended; None without a report."""
    try:
        return _count(content(state_dir / REPORT_FILE)["open_orders_left"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def has_bot(state_dir: Path) -> bool:
    """Return whether a bot may run: a supervisor holds the instance's lock, and is not idle because of a halt
    mark.
    """
    if not is_locked(state_dir):
        return False
    state = read(state_dir)
    if state is not None and state.is_halted:
        return False
    return not lock.is_held_by_manager(state_dir.with_name(lock.NAME), state_dir / LOCK_FILE)


def is_locked(state_dir: Path) -> bool:
    """Return whether a supervisor or its bot runs in any container of any engine: it holds the instance's
    locks.

    A bot can replace the file; then only the lock of the secrets folder counts, which it cannot change.
    """
    lock = state_dir / LOCK_FILE
    secrets = state_dir.parent.parent / "secrets" / state_dir.name
    return (_is_regular(lock) and _is_locked(lock)) or _is_locked(secrets, os.O_DIRECTORY)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:  # what is out of our sight is not known to be free
        return True


def _is_locked(path: Path, flags: int = 0) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    except PermissionError:
        # The folder of another user, who has the lock file too; a file is not known to be free.
        return not flags
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system that locks only files open for writing
        return False
    finally:
        os.close(descriptor)
    return False


def is_final(state_dir: Path) -> bool:
    """Return whether the supervisor has given up or completed, which only a user's start clears."""
    state = read(state_dir)
    return state is not None and state.state in FINAL


def uptime() -> float:
    """Return seconds since boot, the clock that host and containers share."""
    return float(kernel_file.read("/proc/uptime", 64).split()[0])


def content(path: Path) -> Any:
    """Return the JSON value of a file in a bot's folder. Raises OSError, ValueError, RecursionError."""
    return json.loads(_bytes(path))


def _bytes(path: Path | str) -> bytes:
    raw = strict_json.read_bytes(path, MAX_BYTES, follow=False)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    return raw


def _decoded_anew(path: str) -> SupervisorState:
    """Return the state in a file; where only the beat is new, that of before with it: most of what 200
    supervisors write.
    """
    content = _bytes(path)
    raw = json.loads(content)
    if len(content) > MOST_KEPT:
        return _decoded(raw)
    health = raw.get("health") or {}
    rest = {**raw, **dict.fromkeys(BEAT[:2]), "health": {**health, BEAT[2]: None}}
    known = _decoded_before.get(path)
    if known is None or known[0] != rest:
        state = _decoded(raw)
    else:
        state = known[1]._replace(
            updated_at=_number(raw["updated_at"]),
            updated_uptime=_number(raw["updated_uptime"]),
            health_checked_at=_number(health["checked_at"]) if health.get("checked_at") else None,
        )
    if len(_decoded_before) >= MOST:
        _decoded_before.clear()
    _decoded_before[path] = rest, state
    return state


def _decoded(raw: Any) -> SupervisorState:
    restarts, health, last = raw["restarts"], raw.get("health") or {}, raw.get("last_exit")
    return SupervisorState(
        container=_text(raw["container"]),
        state=_text(raw["state"]),
        why=_text_or_none(raw.get("why")),
        bot_pid=_count(raw["bot_pid"]) if raw.get("bot_pid") else None,
        bot_started_at=_number(raw["bot_started_at"]) if raw.get("bot_started_at") else None,
        updated_at=_number(raw["updated_at"]),
        updated_uptime=_number(raw["updated_uptime"]),
        health_interval=_number(raw["health_interval"]),
        restarts_in_a_row=_count(restarts["in_a_row"]),
        restarts_total=_count(restarts["total"]),
        restarts_max=_count(restarts["max"]),
        next_restart_at=_number(restarts["next_at"]) if restarts.get("next_at") else None,
        health_detail=_text_or_none(health.get("detail")),
        last_exit=_last_exit(last) if last else None,
        reason=raw.get("reason"),
        anchor_pid=_count(raw["anchor_pid"]) if raw.get("anchor_pid") else None,
        restarts_since_healthy=_count(restarts.get("since_healthy") or 0),
        next_restart_is_free=restarts.get("next_is_free") is True or not restarts["in_a_row"],
        health_checked_at=_number(health["checked_at"]) if health.get("checked_at") else None,
        health_reason=health.get("reason"),
        is_starting=health.get("starting") is True,
        health_condition=condition(health.get("condition")),
        cancel=_cancel(raw.get("cancel")),
        lines_over_limit=_sum_of_counts(raw.get("logs_over_limit")),
        started_at=_number(raw["supervisor_started_at"]) if raw.get("supervisor_started_at") else None,
        lacks=frozenset(key for key in NEWER_KEYS if key not in raw and key not in health),
    )


def condition(raw: Any) -> Condition | None:
    """Return the valid part of a condition, as bots and supervisors write it; None if there is none."""
    if not isinstance(raw, dict) or not isinstance(raw.get("code"), str):
        return None
    code, params, since = raw["code"], raw.get("params"), raw.get("since")
    valid: dict[str, object] = {}
    for name, value in list(params.items() if isinstance(params, dict) else ())[:MAX_PARAMS]:
        if isinstance(value, str):
            valid[name[:MAX_PARAM]] = replace_unprintable(value[:MAX_PARAM])
        elif value is None or isinstance(value, bool | int | float):
            valid[name[:MAX_PARAM]] = value if _is_moderate(value) else None
    return Condition(
        code if CODE.fullmatch(code) else "unknown",
        valid,
        float(since) if isinstance(since, int | float) and _is_moderate(since) else None,
    )


def _is_moderate(value: object) -> bool:
    return not isinstance(value, int | float) or -MAX_NUMBER < value < MAX_NUMBER


def _cancel(raw: Any) -> Cancel | None:
    if not isinstance(raw, dict):
        return None
    left = raw.get("open_orders_left")
    return Cancel(
        _text(raw["state"]),
        None if left is None else _count(left),
        _count(raw.get("tries") or 0),
        _text_or_none(raw.get("why")),
        raw.get("reason"),
        tuple(_text(line) for line in list(raw.get("stderr_tail", ()))[:MAX_LINES]),
    )


def _last_exit(raw: Any) -> LastExit:
    return LastExit(
        code=None if raw["code"] is None else _count(raw["code"]),
        signal=_text_or_none(raw["signal"]),
        oom=bool(raw["oom"]),
        killed=bool(raw["killed"]),
        at=_number(raw["at"]),
        why=_text(raw["why"]),
        stderr_tail=tuple(_text(line) for line in list(raw.get("stderr_tail", ()))[:MAX_LINES]),
        reason=raw.get("reason"),
        ran_s=None if raw.get("ran_s") is None else _number(raw["ran_s"]),
    )


def _text(value: Any) -> str:
    """Return a text safe for terminals: without control sequences, and of limited length."""
    if not isinstance(value, str):
        raise TypeError(type(value))
    return replace_unprintable(value[:MAX_TEXT])


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> float:
    """Return a finite number within plausible limits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER < value < MAX_NUMBER:
        raise ValueError(value)
    return float(value)


def _sum_of_counts(value: Any) -> int:
    return sum(map(_count, value.values())) if isinstance(value, dict) else 0


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError("not a count")
    return value
