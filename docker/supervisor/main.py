"""Start the supervisor: the lock, the settings, an earlier terminal state, and then the runner."""

import os
import time
from _collections_abc import Mapping

from supervisor import environment, exits, halt_mark, host, retention, signals, state
from supervisor.bot import Bot
from supervisor.clock import LocalDate
from supervisor.dated import DatedFile
from supervisor.day_budget import DayBudget
from supervisor.journal import Journal
from supervisor.lock import Lock, LockedError
from supervisor.loop import Loop
from supervisor.output import Output
from supervisor.paths import Paths
from supervisor.reasons import Reason
from supervisor.runner import BotRunner
from supervisor.settings import ONCE, Settings, SettingsError, parse
from supervisor.status import StatusWriter
from supervisor.timings import Timings

TYPE_CHECKING = False  # `typing` is 0.6 MB
if TYPE_CHECKING:
    from supervisor.cancel import OrderCancel

FAULT = 3  # exit code of a fault of our own
LOCK_WAIT = "BOTFLEET_LOCK_WAIT"  # Docker Swarm starts a task beside the one that it ends
LOCK_POLL_S = 0.2  # only during the few seconds of grace


class Supervisor:
    """Connect the parts, and idle when there is nothing to run."""

    def __init__(
        self, arguments: list[str], paths: Paths, timings: Timings, environ: Mapping[str, str]
    ) -> None:
        self._arguments = arguments
        self._paths = paths
        self._timings = timings
        self._environ = environ
        self._loop = Loop()
        self._outputs = {
            "stdout": Output(self._loop, 1, timings.reader_timeout),
            "stderr": Output(self._loop, 2, timings.reader_timeout),
        }
        self._journal = Journal(self._outputs["stderr"])
        self._today = LocalDate()
        record = state.Record(environ.get("BOTFLEET_INSTANCE", ""), host.container_id())
        self._status = StatusWriter(self._loop, paths, timings, record, self._journal)
        self._lock = Lock(paths.lock_file, paths.secrets)
        self._settings = Settings()
        self._cancel: OrderCancel | None = None
        self._runner: BotRunner | None = None
        self._budget: DayBudget | None = None
        self._grace_ends = time.monotonic() + timings.lock_grace

    def run(self) -> int:
        """Run until stopped. Returns 0 when the bot ended by itself, 1 when it had to be killed."""
        self._loop.on_signals(
            {signals.SIGTERM: self._on_stop, signals.SIGINT: self._on_stop, signals.SIGCHLD: self._on_child}
        )
        self._take_lock()
        result = self._loop.run()
        self._status.close_files()
        self._flush()
        return result

    def die(self, fault: BaseException) -> None:
        """Kill the bot and log a fault of the supervisor. The engine restarts the container."""
        import traceback  # 0.6 MB that is needed only here

        if self._runner is not None:
            self._runner.kill()
        if self._cancel is not None:
            self._cancel.kill()
        self._journal.log(
            "a fault in the supervisor, the bot is killed:\n" + "".join(traceback.format_exception(fault))
        )
        self._flush()

    def _flush(self) -> None:
        deadline = time.monotonic() + self._timings.final_flush
        for output in self._outputs.values():
            output.flush_until(deadline)

    def _take_lock(self) -> None:
        path = self._paths.lock_file
        try:
            self._lock.acquire()
        except LockedError:
            if time.monotonic() < self._grace_ends:
                self._loop.after("lock", LOCK_POLL_S, self._take_lock)
            else:
                self._idle_without_lock(self._held(path))
                if self._environ.get(LOCK_WAIT) == "1":
                    self._loop.after("lock", self._timings.lock_retry, self._take_lock)
        except OSError as err:
            self._idle_without_lock(Reason("cannot_lock", path=path, error=str(err.strerror)))
            self._loop.after("lock", self._timings.lock_retry, self._take_lock)
        else:
            self._begin()

    def _held(self, path: str) -> Reason:
        """Return the reason for a lock that is held, with the container of its holder where that is known."""
        container = (state.load(self._paths.state_file) or {}).get("container")
        if not container:
            return Reason("locked", path=path)
        return Reason("locked_by", path=path, container=str(container)[:12])

    def _idle_without_lock(self, reason: Reason) -> None:
        if self._status.record.why != str(reason):
            self._journal.log(str(reason))
        self._status.enter(state.LOCKED, reason)

    def _begin(self) -> None:
        """Continue with the lock held: only now may the instance's folders be written."""
        self._status.lock = self._lock
        self._journal.file = DatedFile(self._paths.logs, "daemon.log", self._today, lambda _: None)
        record = self._status.record
        self._add_unseen_exit()
        try:
            settings = self._settings = parse(self._environ, self._arguments)
        except SettingsError as err:
            self._journal.log(f"failed: {err}")
            self._status.enter("failed", err.reason)
            return
        if settings.log_day_limit:
            self._budget = DayBudget(settings.log_day_limit, self._journal.log, lambda: self._lock.fds)
        self._status.dated_files = {name: self._dated(name) for name in ("stdout", "stderr")}
        record.health_interval, record.max = settings.health_interval, settings.max_restarts
        self._use_time_zone()
        self._clean_up(settings)
        old = state.load_terminal(self._paths.state_file, record.container)
        if old is not None:
            record.resume(old)
            self._journal.log(
                f"still {record.state}: {record.why}. A start or restart through the manager clears it"
            )
            self._status.write()
            if record.state == "failed":
                self._cancel_orders()
            return
        self._runner = BotRunner(
            self._loop,
            settings,
            self._paths,
            self._timings,
            self._environ,
            self._lock,
            self._status,
            self._journal,
            self._outputs,
            self._cancel_orders,
        )
        record.ever_healthy = state.load_ever_healthy(self._paths.state_file, record.container)
        counts = state.load_outage(self._paths.state_file, record.container)
        if counts is not None:
            record.in_a_row, record.since_healthy, record.unanswered = counts
            self._runner.in_outage = True
            self._journal.log("the outage goes on in which the last bot ended: restarts are not counted")
        self._runner.begin(state.load_start(self._paths.state_file, record.container))

    def _add_unseen_exit(self) -> None:
        """Count the end of a bot whose supervisor was killed with it."""
        try:
            if exits.add_unseen(self._paths, time.time()):
                self._journal.log("the last bot has ended with its container, and told nobody")
        except OSError as err:
            self._journal.log(f"cannot write {self._paths.exits_file}: {err.strerror}")

    def _use_time_zone(self) -> None:
        """Set the time zone of the first log lines.

        A fault in env.json is reported when the bot is started.
        """
        try:
            variables = environment.load(self._paths.env_file)
        except environment.BadEnvironmentError:
            return
        environment.use_time_zone({**self._environ, **variables})

    def _dated(self, name: str) -> DatedFile:
        file = f"bot_{name}.log"

        def on_fault(fault: str | None) -> None:
            if fault is None:
                lost = self._status.dated_files[name].dropped
                self._journal.log(f"writing {file} works again; {lost} lines are missing there in all")
            else:
                self._journal.log(
                    f"cannot write {file}: {fault}; its lines are dropped there until it works again"
                )

        return DatedFile(self._paths.logs, file, self._today, on_fault, self._budget)

    def _clean_up(self, settings: Settings) -> None:
        removed, faults = retention.clean(self._paths.logs, time.time(), settings.log_retention_days)
        if removed:
            self._journal.log(f"removed old log folders: {', '.join(removed)}")
        for fault in faults:
            self._journal.log(fault)
        self._loop.after("clean up", settings.log_cleanup_interval, lambda: self._clean_up(settings))

    def _cancel_orders(self) -> None:
        """Cancel the orders of a live bot that has failed, if the image has a program for it."""
        confirmed = self._status.record.is_cancel_confirmed
        if not self._settings.cancel_command or confirmed or self._environ.get("TRADING_MODE") != "live":
            return
        if halt_mark.read(self._paths.tombstone) is not None:
            self._journal.log(
                "the orders are not cancelled from here: this instance was moved to another machine"
            )
            return
        from supervisor.cancel import OrderCancel  # memory that only a failed live bot needs

        self._cancel = OrderCancel(
            self._loop,
            self._timings,
            self._status,
            self._journal,
            self._outputs,
            self._paths.report_copy,
            self._spawn_cancel,
        )
        self._cancel.start()

    def _spawn_cancel(self) -> Bot:
        self._lock.kill_leftovers(self._journal.log)  # no bot may place what is being cancelled
        variables = environment.load(self._paths.env_file)
        program = environment.for_bot(self._environ, variables, self._settings.instance, self._paths)
        del program[environment.REPORT], program[environment.REQUESTS]
        return Bot(self._settings.cancel_command, program)

    def _on_stop(self) -> None:
        # without a runner there is no bot, and a terminal state is kept for the next start
        if self._runner is None or self._status.record.state in state.TERMINAL:
            if self._cancel is None:
                self._loop.stop(0)
            else:
                self._cancel.stop(self._settings.stop_timeout, lambda: self._loop.stop(0))
        else:
            self._runner.stop()

    def _on_child(self) -> None:
        if self._budget is not None:
            self._budget.tidy()
        if self._runner is not None:
            self._runner.on_child()
        if self._cancel is not None:
            self._cancel.on_child()


def main(
    arguments: list[str],
    paths: Paths | None = None,
    timings: Timings | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run until stopped, or with BOTFLEET_ONCE until the program has answered.

    Returns the container's exit code.
    """
    os.umask(0o027)  # logs, databases and states are for their owner and group
    paths, environ = paths or Paths(), dict(os.environ if environ is None else environ)
    if ONCE in environ:
        from supervisor import once  # subprocess: 2 MB that no supervisor of a bot needs

        return once.run(arguments, paths, environ)
    supervisor = Supervisor(arguments, paths, timings or Timings(), environ)
    try:
        return supervisor.run()
    except BaseException as fault:  # noqa: BLE001 - whatever it is, no bot may run without a supervisor
        supervisor.die(fault)
        return FAULT
