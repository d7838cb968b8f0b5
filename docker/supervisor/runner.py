"""Run the bot: start, probe, end, restart and stop it."""

# (pathlib is 0.8 MB of resident memory)

import time
from _collections_abc import Mapping

from supervisor import environment, exits, halt_mark, host, policy, turn
from supervisor.anchor import Anchor
from supervisor.bot import Bot, signal_name
from supervisor.health import Health, ProbeResult
from supervisor.journal import Journal
from supervisor.lock import Lock
from supervisor.loop import Action, Loop
from supervisor.output import Output
from supervisor.paths import Paths
from supervisor.policy import Ending
from supervisor.probe import Probe
from supervisor.reasons import Reason
from supervisor.report import ReportKeeper
from supervisor.run import Run
from supervisor.settings import Settings
from supervisor.status import StatusWriter
from supervisor.timings import Timings


class BotRunner:
    """Run one bot at a time. `policy` decides what follows from the end of a run."""

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        paths: Paths,
        timings: Timings,
        container: Mapping[str, str],
        lock: Lock,
        status: StatusWriter,
        journal: Journal,
        outputs: dict[str, Output],
        on_failed: Action,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._paths = paths
        self._timings = timings
        self._container = container
        self._lock = lock
        self._status = status
        self._record = status.record
        self._journal = journal
        self._outputs = outputs
        self._on_failed = on_failed
        self._anchor = Anchor(journal)
        self._report = ReportKeeper(paths.report_file, paths.report_copy, journal)
        self._spell = policy.healthy_spell(settings.restart_delay, timings.healthy_spell_min)
        self._stopping = False
        self._halt: Reason | None = None  # the halt mark, once it was found
        self._port = 0
        self._oom_before: int | None = None
        self.in_outage = False  # a bot that was healthy has said that it cannot work, and not been so since
        self._cause: Reason | None = None  # why the supervisor ends this run, unless it is for a stop
        self._run: Run | None = None
        self._health = Health(0.0, settings.health_interval, timings)
        self._probe: Probe | None = None

    def begin(self, started_before: float | None) -> None:
        """Start the first bot since the container was started, when it is its turn.

        `started_before`: when the container was started before.
        """
        wait = turn.wait_s(self._paths.requests_file, time.time(), started_before)
        if not wait or self._find_halt_mark():
            self.start()
            return
        self._record.next_due = time.monotonic() + wait
        self._journal.log(f"waiting {wait:.1f} s for its turn: other bots of this exchange start too")
        self._loop.after("restart", wait, self.start)
        self._status.enter("starting", Reason("waiting_turn", seconds=round(wait, 1)))
        self._watch_files()

    def start(self) -> None:
        """Start the bot with a newly read environment, unless there is a halt mark."""
        self._record.next_due = None
        self._cause = None
        if self._find_halt_mark():
            self._idle_halted()
            return
        self._keep_anchor()
        try:
            bot = self._spawn()
        except environment.BadEnvironmentError as err:
            self._handle_ending(Ending(None, None, cause=err.reason), [])
        except OSError as err:
            cause = Reason("cannot_start", error=str(err.strerror), path=str(err.filename))
            self._handle_ending(Ending(None, None, cause=cause), [])
        else:
            self._begin(bot)
        # again for the mark: one created since the first look is of a halt that expects no bot
        self._watch_files()

    def stop(self) -> None:
        """Stop the bot and end the loop. Calling it again changes nothing."""
        if self._stopping:
            return
        self._stopping = True
        self._loop.cancel("restart")
        if self._run is None:
            self._stopped()
            return
        self._journal.log(f"stopping the bot (at most {self._settings.stop_timeout:g} s)")
        self._end_bot()  # before the state is written, since it has orders to cancel
        self._status.enter("stopping")

    def on_child(self) -> None:
        """Handle SIGCHLD: find out which process has ended."""
        if self._anchor.has_died():
            self._keep_anchor()
            self._status.write()
        if self._run is not None and self._run.has_just_exited():
            self._reset_restart_count(time.monotonic())
            self._stop_probing()
            self._loop.cancel("kill")

    def kill(self) -> None:
        """Kill the bot, because no bot may run without a supervisor."""
        if self._run is not None:
            self._run.process.kill()

    def _find_halt_mark(self) -> bool:
        self._halt = halt_mark.read(self._paths.tombstone) or halt_mark.read(self._paths.halt_mark)
        return self._halt is not None

    def _keep_anchor(self) -> None:
        self._anchor.start(self._lock.fds)
        self._record.anchor_pid = self._anchor.pid

    def _release_anchor(self) -> None:
        self._anchor.stop()
        self._record.anchor_pid = None

    def _watch_files(self) -> None:
        """Look for the bot's report and for a halt mark, once per probe interval while a bot lives or is
        to be started.
        """
        if self._run is None and self._record.next_due is None:
            return
        self._loop.after("files", self._settings.health_interval, self._watch_files)
        if self._run is not None:
            self._report.collect()
        if self._stopping or self._halt is not None or not self._find_halt_mark():
            return
        if self._run is None:
            self._loop.cancel("restart")
            self._idle_halted()
        else:
            self._journal.log("halted: stopping the bot")
            self._end_bot()
            self._status.enter("stopping", self._halt)

    def _idle_halted(self) -> None:
        """Stay without a bot. Only a new start of the container looks at the mark again."""
        self._record.next_due = None
        self._release_anchor()
        self._journal.log("halted: no bot is started until this container is started again without the mark")
        self._status.enter("stopped", self._halt)

    def _spawn(self) -> Bot:
        self._lock.kill_leftovers(self._journal.log)
        variables = environment.load(self._paths.env_file)
        bot = environment.for_bot(self._container, variables, self._settings.instance, self._paths)
        environment.use_time_zone(bot)
        self._port = environment.web_port(bot)
        self._report.begin_run(time.time())
        self._oom_before = host.oom_kills(self._paths.cgroup)
        return Bot(self._settings.command, bot)

    def _begin(self, bot: Bot) -> None:
        self._run = Run(
            self._loop, self._timings.drain, bot, self._outputs, self._status.dated_files, self._finish_run
        )
        self._health = Health(bot.started, self._settings.health_interval, self._timings)
        self._record.set_health(self._health)
        self._record.checked_at = None
        self._record.bot_pid, self._record.bot_started_at = bot.pid, bot.started_wall
        self._keep(lambda: exits.begin(self._paths.exits_file, bot.started_wall))
        self._journal.log(f"started the bot, pid {bot.pid}")
        self._status.enter("starting")
        self._loop.after("probe", self._timings.quick_probe, self._start_probe)

    def _start_probe(self) -> None:
        self._probe = Probe(
            self._loop, self._port, self._settings.health_path, self._timings.probe_timeout, self._probed
        )

    def _probed(self, result: ProbeResult) -> None:
        now = time.monotonic()
        health, reason = self._health, result.reason
        before = health.state, health.condition and health.condition["code"]
        self._probe = None
        health.add(result, now)
        self._record.set_health(health)
        self._record.checked_at = time.time()
        if health.condition is not None:
            reason = Reason("degraded", condition=str(health.condition["code"]))
        if (health.state, health.condition and health.condition["code"]) != before:
            self._journal.log(f"the bot is {_health_word(result)}")
        if health.ok:
            self.in_outage = False
        if health.ok or result.is_refusal:
            self._record.unanswered = 0
        self._reset_restart_count(now)
        self._report.collect()
        self._status.enter(health.state, None if health.is_early(now) else reason)
        self._loop.after("probe", health.next_probe_in(now), self._start_probe)
        if result.reason is not None and 0 < health.failures == self._settings.unhealthy_probes:
            self._restart_unhealthy(result.reason)

    def _reset_restart_count(self, now: float) -> None:
        if self._record.since_healthy and self._health.healthy_for(now) >= self._spell:
            self._record.in_a_row = self._record.since_healthy = 0
            self._journal.log(
                f"the bot has been healthy for {self._spell:g} s: the restart count is back at 0"
            )

    def _restart_unhealthy(self, reason: Reason) -> None:
        cause = Reason("unhealthy", count=self._health.failures, cause=reason)
        if not self._settings.auto_restart:
            self._journal.log(f"{cause}; auto_restart is off, so the bot is left alone")
            return
        self._cause = cause
        self.in_outage = self.in_outage or (self._health.has_refused and self._record.ever_healthy)
        self._journal.log(f"ending the bot: {cause}")
        self._end_bot()

    def _end_bot(self) -> None:
        self._stop_probing()
        run = self._run
        if run is not None and not run.has_exited and not run.process.told_to_stop:
            run.process.terminate()
            self._loop.after("kill", self._settings.stop_timeout, self._kill_bot)

    def _kill_bot(self) -> None:
        self._journal.log(f"the bot has not ended within {self._settings.stop_timeout:g} s: killing it")
        self.kill()

    def _stop_probing(self) -> None:
        self._loop.cancel("probe")
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None

    def _finish_run(self) -> None:
        """Record the end of the run once its last output is read."""
        run, self._run = self._run, None
        if run is None or run.exit_code is None:
            return
        self._report.collect(ended=True)
        code, was_killed = run.exit_code, run.process.killed
        sigkill = code == -9
        ending = Ending(
            code=code if code >= 0 else None,
            signal=signal_name(-code) if code < 0 else None,
            oom=sigkill and not was_killed and self._oom_has_grown(),
            killed=sigkill and was_killed,
            ran_s=run.ran_s,
            cause=self._cause,
        )
        self._record.bot_pid = None
        self._record.condition = self._record.condition_since = None  # what a dead bot waited for is no news
        self._handle_ending(ending, run.stderr_tail.lines())

    def _oom_has_grown(self) -> bool:
        now = host.oom_kills(self._paths.cgroup)
        return now is not None and self._oom_before is not None and now > self._oom_before

    def _handle_ending(self, ending: Ending, stderr_tail: list[str]) -> None:
        record = self._record
        most_free = round(self._timings.outage_restarts)
        is_free = self._has_refused_until(ending) or (
            self.in_outage and policy.is_free(ending, record.unanswered, most_free)
        )
        action, reason = policy.decide(self._settings, ending, record.in_a_row, spends_budget=not is_free)
        cause = policy.crash_reason(self._settings, ending) or policy.ending_reason(ending)
        record.last_exit = {
            "code": ending.code,
            "signal": ending.signal,
            "oom": ending.oom,
            "killed": ending.killed,
            "at": time.time(),
            "ran_s": round(ending.ran_s, 3),
            "why": str(cause),
            "reason": cause.as_json(),
            "stderr_tail": stderr_tail,
        }
        last_exit, began = record.last_exit, record.bot_started_at
        self._keep(lambda: exits.add(self._paths.exits_file, last_exit, began))
        record.bot_started_at = None
        self._journal.log(f"the bot has ended after {ending.ran_s:.1f} s: {policy.describe(ending)}")
        if self._stopping:
            out_of_memory = Reason("out_of_memory", signal="SIGKILL") if ending.oom else None
            self._stopped(Reason("killed") if ending.killed else out_of_memory)
        elif self._halt is not None:
            self._idle_halted()
        elif action == policy.RESTART:
            self._restart_later(reason, is_free=is_free)
        else:
            if action == policy.COMPLETED and not self._report.explains_end:
                reason = Reason("no_report", cause=reason)
            self._journal.log(f"{action}: {reason}")
            self._release_anchor()
            self._status.enter(action, reason)
            if action == policy.FAILED:
                self._on_failed()

    def _keep(self, begin_or_exit: Action) -> None:
        try:
            begin_or_exit()
        except OSError as err:
            self._journal.log(f"cannot write {self._paths.exits_file}: {err.strerror}")

    def _has_refused_until(self, ending: Ending) -> bool:
        """Return whether the run was ended because the bot had answered that it cannot work."""
        return ending.cause is not None and ending.cause is self._cause and self._health.has_refused

    def _restart_later(self, reason: Reason, *, is_free: bool) -> None:
        record = self._record
        record.total += 1
        record.since_healthy += 1
        record.next_is_free = is_free
        delay = policy.restart_delay(
            self._settings.restart_delay,
            record.since_healthy,
            self._timings.restart_delay_max,
            record.instance,
            self._timings.outage_delay_min if is_free else 0.0,
        )
        record.next_due = time.monotonic() + delay
        if is_free:
            record.unanswered += not self._health.has_refused
            self._journal.log(f"restart in {delay:.1f} s; it is not counted, because the bot did answer")
        else:
            record.in_a_row += 1
            self._journal.log(f"restart {record.in_a_row} of {record.max} in {delay:.1f} s")
        self._loop.after("restart", delay, self.start)
        self._status.enter("restarting", reason)

    def _stopped(self, killed: Reason | None = None) -> None:
        """End the loop. `killed`: why the bot did not end by itself."""
        self._record.next_due = None
        self._release_anchor()
        self._journal.log("stopped")
        self._status.enter("stopped", killed)
        self._loop.stop(0 if killed is None else 1)


def _health_word(result: ProbeResult) -> str:
    if result.reason is not None:
        return f"unhealthy: {result.reason}"
    return "healthy" if result.condition is None else f"degraded: {result.condition['code']}"
