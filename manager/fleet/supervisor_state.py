"""What the supervisors say: `supervisor.json` and `report.json` of each instance (docker/README.md), read from the host.

A bot can write into the same folder. So nothing here waits, follows a link, reads without end, or believes a type.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from manager.errors import ManagerError
from manager.fleet import supervisor_messages
from manager.i18n import Text
from manager.util import atomic_file, strict_json
from manager.util.sanitize import replace_unprintable

STATE_FILE = "supervisor.json"
REPORT_FILE = "report.json"
LOCK_FILE = "supervisor.lock"
MAX_BYTES = 1 << 20
MAX_TEXT = 1000
MAX_NUMBER = 1e11
"""Seconds of three thousand years: what is beyond it is no time and no count."""
MAX_LINES = 20
FINAL = frozenset({"failed", "completed"})
"""States that outlive restarts of container and engine."""
STALE_INTERVALS = 3
STALE_MARGIN_S = 5.0
"""A probe may wait out its own time-out before the supervisor writes again."""


MAX_AMOUNT_LENGTH = 40
CURRENCY = re.compile(r"[A-Za-z0-9._-]{1,12}")


class Position(NamedTuple):
    """What a bot held when it last reported: an exact amount, below 0 is short, and its currency."""

    amount: Decimal
    base: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.base}".rstrip()


MAX_PARAMS = 16
MAX_PARAM = 200
"""Characters of a condition's parameter."""
CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Condition(NamedTuple):
    """What a bot says that it is doing: a code of the contract (docker/README.md), or one that is not known here.

    `since`: the time since which the supervisor has seen that code; None where it is the bot's own word.
    """

    code: str
    params: Mapping[str, object] = MappingProxyType({})
    since: float | None = None


class Cancel(NamedTuple):
    """How far the cancelling of a failed live bot's orders is: `running`, `failing` or `confirmed`."""

    state: str
    open_orders_left: int | None = None
    tries: int = 0
    why: str | None = None
    reason: object = None

    @property
    def message(self) -> Text | None:
        """Why the last try did not get the orders cancelled, for a person."""
        return supervisor_messages.message(self.reason, self.why)


class LastExit(NamedTuple):
    """How the bot last ended. `why`: the supervisor's English sentence; `reason`: its code with parameters, as in the file."""

    code: int | None
    signal: str | None
    oom: bool
    killed: bool
    at: float
    why: str
    stderr_tail: tuple[str, ...]
    reason: object = None

    @property
    def message(self) -> Text:
        """Why it ended, for a person."""
        return supervisor_messages.message(self.reason, self.why) or Text("{why}", why=self.why)


class SupervisorState(NamedTuple):
    """One supervisor's last word. Times in seconds since the epoch, `updated_uptime` on the host's uptime clock.

    `why`: the English sentence of the reason for the state; `reason`: its code with parameters, as in the file.
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
    """A process that lives as long as the supervisor keeps the bot running, through all restarts of the bot."""
    restarts_since_healthy: int = 0
    health_checked_at: float | None = None
    health_condition: Condition | None = None
    """Of a degraded bot: why it cannot trade now."""
    cancel: Cancel | None = None

    @property
    def message(self) -> Text | None:
        """Why the state is as it is, for a person."""
        return supervisor_messages.message(self.reason, self.why)

    @property
    def is_halted(self) -> bool:
        """Whether the supervisor has found a halt mark: its container is up, it holds its lock, and no bot runs in it."""
        code = self.reason.get("code") if isinstance(self.reason, dict) else None
        return self.state == "stopped" and code == "halted" and self.bot_pid is None

    def is_older_than_boot(self, uptime: float) -> bool:
        """Whether the supervisor has not spoken since the host was started."""
        return self.updated_uptime > uptime

    def is_stale(self, uptime: float) -> bool:
        """Whether the supervisor has been silent for three probe intervals, or spoke before this boot."""
        age = uptime - self.updated_uptime
        return age < 0 or age > STALE_INTERVALS * self.health_interval + STALE_MARGIN_S


def read(state_dir: Path) -> SupervisorState | None:
    """The supervisor's state; None when there is none or it cannot be read."""
    try:
        return _decoded(_read(state_dir / STATE_FILE))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def open_orders_left(state_dir: Path) -> int | None:
    """What the bot reported when it ended; None when it said nothing."""
    try:
        return _count(_read(state_dir / REPORT_FILE)["open_orders_left"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def position_left(state_dir: Path) -> Position | None:
    """What the bot held by its last report, which outlives it; None when it said nothing that can be read."""
    try:
        report = _read(state_dir / REPORT_FILE)["report"]
        amount, base = report["position"], report.get("base")
        if isinstance(amount, bool) or not isinstance(amount, str | int | float):
            return None
        text = str(amount)
        if len(text) > MAX_AMOUNT_LENGTH or not text.isascii():
            return None
        number = Decimal(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ArithmeticError):
        return None
    if not number.is_finite() or abs(number.adjusted()) > MAX_AMOUNT_LENGTH:
        return None
    return Position(number, base if isinstance(base, str) and CURRENCY.fullmatch(base) else "")


def has_bot(state_dir: Path) -> bool:
    """Whether a bot may live there: some supervisor holds the instance's lock, and does not say that it idles by a halt mark."""
    if not is_held(state_dir):
        return False
    state = read(state_dir)
    return state is None or not state.is_halted


def is_held(state_dir: Path) -> bool:
    """Whether a supervisor or its bot lives, in whatever container, of whatever engine: it holds the instance's locks.

    A bot can put something else in the place of the file: then only the lock of the secrets folder counts, which it cannot change.
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
    except (
        PermissionError
    ):  # the folder of another user, who has the lock file too; of a file it is not known to be free
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


def require_forgettable(state_dir: Path) -> None:
    """Raises ManagerError for what would keep `forget` from its work: before a bot is stopped that could then not be started."""
    if state_dir.exists() and not os.access(state_dir, os.W_OK | os.X_OK):
        raise ManagerError(
            "cannot remove {path}: {why}", path=state_dir / STATE_FILE, why=os.strerror(errno.EACCES)
        )


def is_final(state_dir: Path) -> bool:
    """Return whether the supervisor has given up or completed, which only a person's start clears."""
    state = read(state_dir)
    return state is not None and state.state in FINAL


def forget(state_dir: Path) -> None:
    """Clears what a person's start clears: a final state, the restart counts. Raises ManagerError.

    The bot's last report stays, marked as that of an earlier run, until the new one writes its first. A final state must not come
    back with a power cut: the supervisor would start no bot, where a person wanted one.
    """
    said = read(state_dir)
    names = (STATE_FILE,) if _keep_as_previous(state_dir / REPORT_FILE) else (STATE_FILE, REPORT_FILE)
    for name in names:
        path = state_dir / name
        try:
            _put_away(path)
        except OSError as error:
            raise ManagerError(
                "cannot remove {path}: {why}", path=path, why=error.strerror or error
            ) from error
    if said is not None and said.state in FINAL:
        atomic_file.sync_folder(state_dir)


def _keep_as_previous(path: Path) -> bool:
    """Mark the kept report as an earlier run's, as the supervisor does at each start. Whether that is done.

    What it says of orders goes: it must not be taken for what the next run leaves. A report that was no supervisor's copy (of
    contract 1) says nothing of whose it is, and one that cannot be marked on a full disk would pass for the new run's.
    """
    try:
        kept = _read(path)
        if not isinstance(kept, dict) or not isinstance(kept.get("report"), dict):
            return False
        marked = {**kept, "previous_run": True}
        marked.pop("open_orders_left", None)
        atomic_file.replace_bytes(path, json.dumps(marked).encode() + b"\n", 0o644, durable=False)
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _put_away(path: Path) -> None:
    """Removes it. A folder, which a bot can put there, gets another name."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise
        path.rename(path.with_name(f"{path.name}.moved-{os.urandom(3).hex()}"))


def uptime() -> float:
    """Seconds since boot, the clock that host and containers share."""
    return float(Path("/proc/uptime").read_bytes().split()[0])


def _read(path: Path) -> Any:
    raw = strict_json.read_bytes(path, MAX_BYTES, follow=False)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    return json.loads(raw)


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
        health_checked_at=_number(health["checked_at"]) if health.get("checked_at") else None,
        health_condition=condition(health.get("condition")),
        cancel=_cancel(raw.get("cancel")),
    )


def condition(raw: Any) -> Condition | None:
    """The valid part of a condition, as bots and supervisors write it; None where there is none."""
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
    )


def _text(value: Any) -> str:
    """A text that a terminal can show: no control sequences, no length without end."""
    if not isinstance(value, str):
        raise TypeError(type(value))
    return replace_unprintable(value[:MAX_TEXT])


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> float:
    """A finite number that is a time within living memory."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER < value < MAX_NUMBER:
        raise ValueError(value)
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError("not a count")
    return value
