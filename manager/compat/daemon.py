"""Implement the old system's `core/daemon_manager.py` (class, command line, exit codes) by new commands."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from manager import i18n
from manager.cli import argparse_i18n, carry_out, ending, parsers
from manager.cli import main as cli
from manager.cli.commands.logs import logs
from manager.compat.registry import InstanceRegistry
from manager.errors import EngineUnreachable, ManagerError
from manager.fleet import doing, instances_json, project_folder
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection, require_known
from manager.fleet.session import Session
from manager.fleet.status import State
from manager.fleet.status_json import OLD_PYTHON, status_object
from manager.i18n import _, mark
from manager.ops.actions.action import Change
from manager.ops.planning import changes
from manager.util import ownership
from manager.util.polling import wait_until
from manager.util.signal_flag import SignalFlag

DEFAULT_CONFIG = "config/daemon_config.json"
LOCK_WAIT_S = 600.0
"""Scripts start instances concurrently; each waits for its turn, for as long as stopping a fleet takes."""

POLL_S = 1.0
ENDED_POLLS = 4
"""During a restart or recreation the instance is down for a moment."""
SHOWN_LINES = 20
"""Lines that the bot printed before its output was followed."""

ENDED = frozenset({"failed", "completed", "stopped", "missing"})

CHANGES: Mapping[str, Callable[[Selection], Change]] = {
    "start": changes.start,
    "stop": changes.stop,
    "restart": changes.restart,
}

ACTIONS = {
    "start": mark("start the instance, in the foreground unless --daemon is given"),
    "stop": mark("stop the instance"),
    "restart": mark("stop and start the instance"),
    "status": mark("show the instance as JSON; exit code 0 if it is running, else 1"),
    "list": mark("show all instances"),
}


class TradingBotDaemon:
    """Control one instance by its config file, like the command line does.

    Failures are printed on standard error.
    """

    def __init__(
        self, config_file: str | os.PathLike[str] = DEFAULT_CONFIG, instance_id: str | None = None
    ) -> None:
        i18n.use_environment()
        self.config_file = Path(config_file)
        self._given_id = instance_id

    @property
    def instance_id(self) -> str:
        """Return the id: the given one, else that of the config file; its name, if it is no config."""
        if self._given_id is not None:
            return self._given_id
        try:
            return self._session().project().instance_of(str(self.config_file))
        except ManagerError:
            return self.config_file.stem

    @property
    def config(self) -> dict[str, Any]:
        """Return the file's daemon_config; empty for an invalid file.

        Variables are not expanded: it never contains a credential.
        """
        try:
            loaded = self._session().project().loaded.described(self.instance_id)
        except ManagerError:
            return {}
        daemon: dict[str, Any] = loaded.get("daemon_config", {})
        return {"python_path": OLD_PYTHON, **daemon, "log_dir": str(self.log_dir)} if daemon else {}

    @property
    def log_dir(self) -> Path:
        """Return the instance's log folder."""
        instance = self.instance_id
        try:
            project = self._session().project()
        except ManagerError:
            return Path("logs") / instance
        spec = project.specs.get(instance)
        return project.fleet.data_dir / (spec.log_dir if spec else f"logs/{instance}")

    @property
    def registry(self) -> InstanceRegistry:
        """Return the registry of the file's project."""
        try:
            return InstanceRegistry(self._session().project().fleet.export_file)
        except ManagerError:
            return InstanceRegistry()

    def start(self, daemonize: bool = True) -> bool:
        """Start the instance. Returns whether it runs, even if it ran before.

        With `daemonize=False`, show its output until it ends; SIGINT and SIGTERM stop it. Returns False only
        if it failed.
        """
        if not self._run("start"):
            return False
        return daemonize or self._run_in_foreground()

    def stop(self) -> bool:
        """Stop the instance and keep it stopped. Returns whether it no longer runs."""
        return self._run("stop")

    def restart(self) -> bool:
        """Stop the instance and start it with its current config."""
        return self._run("restart")

    def status(self) -> dict[str, Any]:
        """Return what `manager status` prints.

        Raises ManagerError for an invalid config, or without an engine.
        """
        session = self._session()
        try:
            snapshot = session.observe()
            (view,) = doing.with_reports(snapshot.project.fleet, [snapshot.views[self._instance(snapshot)]])
            return status_object(view, snapshot, instances_json.find_pids(snapshot).bots.get(view.id, 0))
        finally:
            session.close()

    def list_instances(self) -> list[dict[str, Any]]:
        """Print the table of all instances, and return their records."""
        self.run("list")
        registry = self.registry
        try:
            return registry.list_instances(include_dead=True)
        finally:
            registry.close()

    def run(self, command: str) -> int:
        """Run a manager command, on the instance where it takes one. Returns its exit code."""
        if command in CHANGES:
            return cli.guarded(lambda: self._change(command))
        argv = [*self._project_option(), command]
        if command != "list":
            argv += self._selection()
        return cli.main(argv)

    def _change(self, command: str) -> int:
        """Carry out one changing command, as the command line does. Raises ManagerError."""
        selection, new_id = Selection(files=[str(self.config_file)]), self._given_id
        if new_id is not None and (command == "stop" or self._is_by_id()):  # only a start gives an id
            selection, new_id = Selection([new_id]), None
        session = self._session()
        try:
            code = ending.in_order(
                session,
                lambda: carry_out.run(
                    session, CHANGES[command](selection), lock_wait=LOCK_WAIT_S, new_id=new_id
                ),
            )
        finally:
            session.close()
        ending.pass_on(session)
        return code

    def _is_by_id(self) -> bool:
        """Return whether only the id counts, as in the old system without a default config file."""
        is_default = str(self.config_file) == DEFAULT_CONFIG
        return self._given_id is not None and is_default and not self.config_file.exists()

    def _run(self, command: str) -> bool:
        return self.run(command) == 0

    def _selection(self) -> list[str]:
        options = [] if self._given_id is None else ["--instance-id", self._given_id]
        if self._is_by_id():
            return options
        return ["--config", str(self.config_file), *options]

    def _project_option(self) -> list[str]:
        return ["--project-dir", str(self._project_dir())] if self._project_dir() else []

    def _project_dir(self) -> Path | None:
        """Return the config file's project, so that a cron job need not run in it.

        None: use the project that the command line finds.
        """
        with contextlib.suppress(ManagerError):
            return project_folder.find(self.config_file.absolute().parent)
        return None

    def _session(self) -> Session:
        return Session(self._project_dir())

    def _instance(self, snapshot: FleetSnapshot) -> str:
        instance = self._given_id or snapshot.project.instance_of(str(self.config_file))
        require_known(instance, snapshot)
        return instance

    # In the foreground

    def _run_in_foreground(self) -> bool:
        """Show the bot's output until it ends, or until a signal stops it."""
        session = self._session()
        with _stop_signal() as is_asked:
            try:
                instance = self._instance(session.observe())
                _follow(session, instance)
                ended = _wait_until_ended(session, instance, is_asked)
            finally:
                session.close()
            return self.stop() if ended is None else ended != "failed"


def list_instances() -> None:
    """Print the table of all instances of the current project."""
    TradingBotDaemon().run("list")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the old command line. Exit codes: 0 success or running, 1 not running, 2 usage."""
    i18n.use_environment()
    ownership.set_umask()
    args = _parser().parse_args(argv)
    daemon = TradingBotDaemon(args.config, args.instance_id)
    if args.action == "start":
        return 0 if daemon.start(daemonize=args.daemon) else 1
    return min(daemon.run(args.action), 1)


def _parser() -> argparse.ArgumentParser:
    argparse_i18n.translate()
    parser = parsers.Parser(
        prog="python -m manager.daemon_manager",
        description=_(
            "The old daemon's command line, implemented with containers. See `manager --help` for the new "
            "one."
        ),
        epilog="\n".join(f"{action:<9} {_(text)}" for action, text in ACTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=list(ACTIONS), help=_("the action"))
    parser.add_argument(
        "-d",
        "--daemon",
        action="store_true",
        help=_("return once the instance is started; without it, stay in the foreground and show its output"),
    )
    parser.add_argument(
        "-c", "--config", default=DEFAULT_CONFIG, metavar="FILE", help=_("the config of the instance")
    )
    parser.add_argument(
        "--instance-id", metavar="ID", help=_("the instance's id; with --config: the id to run it under")
    )
    parser.add_argument(
        "--log-dir", metavar="DIR", help=_("accepted, but determined by daemon_config.log_dir")
    )
    return parser


def _follow(session: Session, instance: str) -> None:
    """Show the instance's output from now on, in a thread."""
    options = parsers.parser("logs").parse_args(["logs", "--follow", "--tail", str(SHOWN_LINES), instance])
    log_session = Session(session.chosen_dir)

    def follow() -> None:
        with contextlib.suppress(ManagerError, OSError):
            logs(log_session, options)

    threading.Thread(target=follow, daemon=True).start()


def _wait_until_ended(session: Session, instance: str, is_asked: SignalFlag) -> State | None:
    """Wait until the instance has ended, and is not being restarted.

    Returns its last state; None if a signal came first.
    """
    polls = 0
    last: State | None = None

    def has_ended() -> bool:
        nonlocal polls, last
        if is_asked.is_set():
            return True
        try:
            view = session.observe().views.get(instance)
        except EngineUnreachable:  # instances survive a restart of the engine
            polls = 0
            return False
        state: State = "missing" if view is None else view.status.state
        polls = polls + 1 if state in ENDED else 0
        if view is None or polls == ENDED_POLLS:
            last = state
        return last is not None

    is_asked.wait(POLL_S)
    wait_until(has_ended, poll=POLL_S, sleep=is_asked.wait)
    return last


@contextlib.contextmanager
def _stop_signal() -> Iterator[SignalFlag]:
    """Set a flag on Ctrl-C and SIGTERM, which systemd sends. Signals reach the main thread only.

    An exception could be lost, depending on where it is raised, and the bot would trade on.
    """
    is_asked = SignalFlag()
    if threading.current_thread() is not threading.main_thread():
        yield is_asked
        return

    previous = {number: signal.signal(number, is_asked.set) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield is_asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
