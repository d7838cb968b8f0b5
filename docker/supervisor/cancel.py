"""Cancel the orders of a live bot that was given up, with the image's own program, until the exchange
confirms.
"""

import time
from _collections_abc import Callable, Iterator

from supervisor import json_text, policy, report
from supervisor.bot import Bot, signal_name
from supervisor.journal import Journal
from supervisor.loop import Action, Loop
from supervisor.output import Output
from supervisor.reasons import Reason, ReasonError
from supervisor.run import Run
from supervisor.state import CANCEL_CONFIRMED, count
from supervisor.status import StatusWriter
from supervisor.timings import Timings

STDERR_LINES = 5
RUNNING, FAILING = "running", "failing"


class OrderCancel:
    """Run the cancel program, one try at a time, with growing pauses. Only started when no bot lives."""

    def __init__(
        self,
        loop: Loop,
        timings: Timings,
        status: StatusWriter,
        journal: Journal,
        outputs: dict[str, Output],
        report_copy: str,
        spawn: Callable[[], Bot],
    ) -> None:
        self._loop = loop
        self._timings = timings
        self._status = status
        self._record = status.record
        self._journal = journal
        self._outputs = outputs
        self._report_copy = report_copy
        self._spawn = spawn
        self._run: Run | None = None
        self._stderr_tail: list[str] = []  # of the last try
        self._on_end: Action | None = None  # set once the container is being stopped

    def start(self) -> None:
        """Run the program once, and again until the exchange has confirmed that no order is left."""
        tries = self._tries + 1
        self._stderr_tail = []
        self._set(RUNNING, tries, None, None)
        try:
            process = self._spawn()
        except (OSError, ReasonError) as err:
            self._fail(_start_reason(err))
            return
        self._run = Run(
            self._loop,
            self._timings.drain,
            process,
            self._outputs,
            self._status.dated_files,
            self._finish,
            keeps_stdout=True,
        )
        self._journal.log(f"cancelling the orders of this instance, try {tries}")
        self._loop.after("cancel timeout", self._timings.cancel_timeout, self.kill)

    def stop(self, timeout: float, on_end: Action) -> None:
        """Make no further try; call `on_end` when the present one has ended, or was killed after
        `timeout`.
        """
        self._loop.cancel("cancel")
        if self._run is None:
            on_end()
        elif self._on_end is None:
            self._on_end = on_end
            self._journal.log(f"waiting for the cancel program (at most {timeout:g} s)")
            self._loop.after("cancel timeout", min(timeout, self._timings.cancel_timeout), self.kill)

    def kill(self) -> None:
        """Kill the program, if it runs."""
        if self._run is not None:
            self._run.process.kill()

    def on_child(self) -> None:
        """Handle SIGCHLD: find out whether the program has ended."""
        if self._run is not None and self._run.has_just_exited():
            self._loop.cancel("cancel timeout")

    @property
    def _tries(self) -> int:
        return count((self._record.cancel or {}).get("tries"))

    def _finish(self) -> None:
        run, self._run = self._run, None
        if run is None or run.exit_code is None:
            return
        self._stderr_tail = run.stderr_tail.lines()[-STDERR_LINES:]
        left = orders_left(run.stdout_tail.lines()) if run.exit_code == 0 else None
        if left == 0:
            report.keep_confirmed(self._report_copy, figures(run.stdout_tail.lines()), self._journal)
            self._journal.log("the exchange has confirmed that no order is left")
            self._set(CANCEL_CONFIRMED, self._tries, 0, None)
        else:
            self._fail(self._reason(run.process, run.exit_code, left), left)
        if self._on_end is not None:
            self._on_end()

    def _reason(self, process: Bot, code: int, left: int | None) -> Reason:
        if process.killed:
            return Reason("no_answer", seconds=self._timings.cancel_timeout)
        if code < 0:
            return Reason("signal", signal=signal_name(-code))
        if code > 0:
            return Reason("exit_code", code=code)
        return Reason("no_result") if left is None else Reason("orders_left", count=left)

    def _fail(self, reason: Reason, left: int | None = None) -> None:
        delay = policy.restart_delay(
            self._timings.cancel_retry,
            self._tries,
            self._timings.cancel_retry_max,
            self._record.instance + ":cancel",
        )
        if self._on_end is not None:
            self._journal.log(f"the orders are not cancelled: {reason}")
            self._set(FAILING, self._tries, left, reason)
            return
        self._journal.log(f"the orders are not cancelled yet: {reason}; next try in {delay:.0f} s")
        self._loop.after("cancel", delay, self.start)
        self._set(FAILING, self._tries, left, reason, time.time() + delay)

    def _set(
        self, state: str, tries: int, left: int | None, reason: Reason | None, next_at: float | None = None
    ) -> None:
        self._record.cancel = {
            "state": state,
            "open_orders_left": left,
            "tries": tries,
            "at": time.time(),
            "next_at": next_at,
            "why": None if reason is None else str(reason),
            "reason": None if reason is None else reason.as_json(),
            "stderr_tail": self._stderr_tail if state == FAILING else [],
        }
        self._status.write()


def orders_left(lines: list[str]) -> int | None:
    """Return `open_orders_left` of the last line that is a JSON object; None when none says it."""
    for answer in _objects(lines):
        left = answer.get("open_orders_left")
        return left if isinstance(left, int) and not isinstance(left, bool) and left >= 0 else None
    return None


def figures(lines: list[str]) -> dict[str, object]:
    """Return the object `report` of the last line that has one: what the bot has left; else an empty one."""
    reports = (answer.get("report") for answer in _objects(lines))
    return next((report for report in reports if isinstance(report, dict)), {})


def _objects(lines: list[str]) -> Iterator[dict[str, object]]:
    """Yield the lines that are JSON objects, the last one first."""
    for line in reversed(lines):
        try:
            answer = json_text.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(answer, dict):
            yield answer


def _start_reason(err: OSError | ReasonError) -> Reason:
    if isinstance(err, ReasonError):
        return err.reason
    return Reason("cannot_start_cancel", error=str(err.strerror), path=str(err.filename))
