"""Keep the bot's last report: taken from the file that the bot replaces, and kept in the state folder for the
manager.
"""

# (pathlib is 0.8 MB of resident memory)

import os
import time

from supervisor import files, json_text
from supervisor.journal import Journal
from supervisor.loop import Action

SCHEMA = 1
MAX_BYTES = 1 << 16
FIGURES = (
    "position",
    "position_at_exchange",
    "entry_price",
    "price",
    "pnl",
    "unrealized",
    "realized",
    "fees",
    "trades",
    "last_fill",
)  # what a program that runs after the bot may say anew
CARRIED = (
    "at",
    "base",
    "min_order",
    "quote",
    "mode",
    "market",
    "funding",
    "run_began",
    "maker_share",
    "reject_rate",
    "max_drawdown",
    "profit_per_grid",
    "apr",
    "order_latency",
    *FIGURES,
)  # from run to run


class ReportKeeper:
    """Copy the bot's report when it has changed. The copy outlives the bot, its runs and the container."""

    def __init__(self, source: str, target: str, journal: Journal) -> None:
        self._source = source
        self._target = target
        self._journal = journal
        self._seen: tuple[int, int, int] | None = None  # identity of the file that was copied last
        self._fault: str | None = None
        self._run_started = 0.0  # seconds since the epoch
        self._report: dict[str, object] | None = None  # of this run

    def begin_run(self, started: float) -> None:
        """Forget the report of an earlier run, and mark its copy as that of an earlier run."""
        self._seen, self._report, self._run_started = None, None, started
        self._try(self._clear)

    def collect(self, *, ended: bool = False) -> None:
        """Copy the report if it has changed. `ended`: the run has ended, so that this is its last word."""
        self._try(lambda: self._collect(ended))

    @property
    def explains_end(self) -> bool:
        """Return whether the run has left a last word: a final report, or one of contract 1, which is
        written at the end.
        """
        return self._report is not None and (
            "contract" not in self._report or self._report.get("final") is True
        )

    def _clear(self) -> None:
        files.move_aside(self._source)
        old = _load(self._target)
        if old is None:
            files.move_aside(
                self._target
            )  # written by a bot of an earlier supervisor, for a run that has ended
            return
        # what the earlier run left must not be taken for what this one leaves
        old.pop("open_orders_left", None)
        old["previous_run"] = True
        _save(self._target, old)

    def _collect(self, ended: bool) -> None:
        try:
            status = os.lstat(self._source)
        except FileNotFoundError:
            return
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen and not ended:
            return
        report = json_text.loads(
            files.read_small(self._source, MAX_BYTES, follow=False), refuse_constant=_refuse_constant
        )
        if not isinstance(report, dict):
            raise ValueError("it is not a JSON object")
        copy: dict[str, object] = {
            "schema": SCHEMA,
            "read_at": time.time(),
            "written_at": status.st_mtime,
            "run_started_at": self._run_started,
            "run_ended": ended,
            "previous_run": False,
        }
        left = report.get("open_orders_left")
        if ended and isinstance(left, int) and not isinstance(left, bool) and left >= 0:
            copy["open_orders_left"] = left
        self._report = report
        copy["report"] = self._with_figures(report)
        _save(self._target, copy)
        self._seen = seen

    def _with_figures(self, report: dict[str, object]) -> dict[str, object]:
        """Return the report of a bot that has not come so far as to have figures, with those of the run
        before: what that one has left is still there. Their age stays theirs.
        """
        if "position" in report or report.get("final") is not True or "contract" not in report:
            return report
        old = (_load(self._target) or {}).get("report")
        if not isinstance(old, dict) or old.get("position") is None:
            return report
        carried = {name: old[name] for name in CARRIED if name in old and name != "position_at_exchange"}
        return {**report, **carried}

    def _try(self, action: Action) -> None:
        try:
            action()
        except (OSError, ValueError, RecursionError) as err:
            fault = err.strerror if isinstance(err, OSError) else str(err)
            if isinstance(err, RecursionError):  # its own text depends on where the limit was met
                fault = "it is nested too deeply"
            text = f"cannot keep the bot's report: {(fault or 'unknown fault')[:200]}"
            if text != self._fault:
                self._fault = text
                self._journal.log(text)
        else:
            self._fault = None


def keep_confirmed(target: str, figures: dict[str, object], journal: Journal) -> None:
    """Put into the copy of a given-up bot's report that it has left no order, and its figures, if there are
    any: its orders may have been filled since it died.
    """
    copy = _load(target)
    if copy is None:
        return
    report, now = copy["report"], time.time()
    assert isinstance(report, dict)  # by _load
    if figures:
        copy["report"] = {**report, **{name: figures.get(name) for name in FIGURES}, "at": now}
        copy["read_at"] = copy["written_at"] = now
    copy["run_ended"], copy["open_orders_left"] = True, 0
    try:
        _save(target, copy)
    except OSError as err:
        journal.log(f"cannot keep what the bot has left: {err.strerror}")
    except RecursionError:  # the bot can write there too
        journal.log("cannot keep what the bot has left: its report is nested too deeply")


def _load(path: str) -> dict[str, object] | None:
    """Return a copy that a supervisor has written; None for anything else."""
    try:
        content = json_text.loads(files.read_small(path, 4 * MAX_BYTES, follow=False))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("report"), dict) else None


def _save(path: str, copy: dict[str, object]) -> None:
    files.replace(path, json_text.dumps(copy).encode() + b"\n", durable=False)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
