"""The old system's `core/daemon_manager.py`: its class, its command line and its exit codes, over the `manager` commands."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from manager import i18n
from manager.cli import argparse_i18n, carry_out, parsers
from manager.cli import main as cli
from manager.cli.commands.logs import logs
from manager.compat.registry import InstanceRegistry
from manager.errors import EngineUnreachable, ManagerError
from manager.fleet import doing, instances_json, project
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection, require_known
from manager.fleet.session import Session
from manager.fleet.status import State
from manager.fleet.status_json import status_object
from manager.i18n import _, mark
from manager.ops import changes
from manager.ops.action import Change
from manager.util.polling import wait_until

DEFAULT_CONFIG = "config/daemon_config.json"
LOCK_WAIT_S = 600.0
"""Scripts start instances side by side; each waits for its turn, as long as a fleet needs to stop."""

POLL_S = 1.0
ENDED_POLLS = 4
"""A restart or recreation has the instance down for a moment."""
SHOWN_LINES = 20
"""What the bot said before its output was followed."""

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
    "status": mark("show the instance as JSON; exit code 0 when it runs, else 1"),
    "list": mark("show all instances"),
}


class TradingBotDaemon:
    """One instance, by its config file. What it does is what the command line does; failures are said on standard error."""

    def __init__(
        self, config_file: str | os.PathLike[str] = DEFAULT_CONFIG, instance_id: str | None = None
    ) -> None:
        i18n.use_environment()
        self.config_file = Path(config_file)
        self.instance_id = instance_id

    def start(self, daemonize: bool = True) -> bool:
        """Starts the instance; True when it runs, also when it ran before.

        With `daemonize=False` this follows its output until it ends; SIGINT and SIGTERM stop it. True unless it failed.
        """
        if not self._run("start"):
            return False
        return daemonize or self._attend()

    def stop(self) -> bool:
        """Stops the instance and keeps it stopped; True when it does not run any more."""
        return self._run("stop")

    def restart(self) -> bool:
        """Stops the instance and starts it, with its config as it is now."""
        return self._run("restart")

    def status(self) -> dict[str, Any]:
        """What `manager status` prints. Raises ManagerError for a config that cannot be loaded, or without an engine."""
        session = self._session()
        try:
            snapshot = session.observe()
            (view,) = doing.with_reports(snapshot.project.fleet, [snapshot.views[self._instance(snapshot)]])
            return status_object(view, snapshot, instances_json.find_pids(snapshot).bots.get(view.id, 0))
        finally:
            session.close()

    def list_instances(self) -> list[dict[str, Any]]:
        """Prints the table of all instances, and returns their records."""
        self.run("list")
        registry = InstanceRegistry(self._session().project().fleet.export_file)
        try:
            return registry.list_instances(include_dead=True)
        finally:
            registry.close()

    def run(self, command: str) -> int:
        """Run a manager command, on the instance where it takes one. Returns its exit code."""
        if command in CHANGES:
            return cli.guarded(lambda: self._change(command))
        words = [*self._project_option(), command]
        if command != "list":
            words += self._selection()
        return cli.main(words)

    def _change(self, command: str) -> int:
        """Carry out one changing command, as the command line does. Raises ManagerError."""
        selection, new_id = Selection(files=[str(self.config_file)]), self.instance_id
        if new_id is not None and (command == "stop" or self._is_by_id()):  # only a start gives an id
            selection, new_id = Selection([new_id]), None
        session = self._session()
        try:
            return carry_out.run(session, CHANGES[command](selection), lock_wait=LOCK_WAIT_S, new_id=new_id)
        finally:
            session.close()

    def _is_by_id(self) -> bool:
        """Whether the id alone counts: it was enough for the old system, where the default config file was not there."""
        is_default = str(self.config_file) == DEFAULT_CONFIG
        return self.instance_id is not None and is_default and not self.config_file.exists()

    def _run(self, command: str) -> bool:
        return self.run(command) == 0

    def _selection(self) -> list[str]:
        named = [] if self.instance_id is None else ["--instance-id", self.instance_id]
        if self._is_by_id():
            return named
        return ["--config", str(self.config_file), *named]

    def _project_option(self) -> list[str]:
        return ["--project-dir", str(self._project_dir())] if self._project_dir() else []

    def _project_dir(self) -> Path | None:
        """The config file's project, so that a cron job need not be in it; else what the command line finds."""
        with contextlib.suppress(ManagerError):
            return project.find(self.config_file.absolute().parent)
        return None

    def _session(self) -> Session:
        return Session(self._project_dir())

    def _instance(self, snapshot: FleetSnapshot) -> str:
        found = self.instance_id or snapshot.project.instance_of(str(self.config_file))
        require_known(found, snapshot)
        return found

    # In the foreground

    def _attend(self) -> bool:
        """Shows the bot's output until it ends or a signal comes, which stops it."""
        session = self._session()
        with _asked_to_end() as is_asked:
            try:
                instance = self._instance(session.observe())
                _follow(session, instance)
                ended = _until_ended(session, instance, is_asked)
            finally:
                session.close()
            return self.stop() if ended is None else ended != "failed"


def list_instances() -> None:
    """Prints the table of all instances of the project here."""
    TradingBotDaemon().run("list")


def main(argv: Sequence[str] | None = None) -> int:
    """The old command line. Exit codes: 0 well or running, 1 not, 2 usage."""
    i18n.use_environment()
    args = _parser().parse_args(argv)
    daemon = TradingBotDaemon(args.config, args.instance_id)
    if args.action == "start":
        return 0 if daemon.start(daemonize=args.daemon) else 1
    return min(daemon.run(args.action), 1)


def _parser() -> argparse.ArgumentParser:
    argparse_i18n.translate()
    parser = parsers.Parser(
        prog="python -m manager.daemon_manager",
        description=_("The old daemon's command line, on containers. `manager --help` shows the new one."),
        epilog="\n".join(f"{action:<9} {_(text)}" for action, text in ACTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=list(ACTIONS), help=_("what to do"))
    parser.add_argument(
        "-d",
        "--daemon",
        action="store_true",
        help=_("return once it is started; without it, stay and show its output"),
    )
    parser.add_argument(
        "-c", "--config", default=DEFAULT_CONFIG, metavar="FILE", help=_("the instance of this config")
    )
    parser.add_argument(
        "--instance-id", metavar="ID", help=_("an instance; with --config: the id to run it under")
    )
    parser.add_argument("--log-dir", metavar="DIR", help=_("accepted; daemon_config.log_dir decides"))
    return parser


def _follow(session: Session, instance: str) -> None:
    """Shows the instance's output from now on, beside what else is done."""
    options = parsers.parser("logs").parse_args(["logs", "--follow", "--tail", str(SHOWN_LINES), instance])
    shown = Session(session.chosen_dir)

    def follow() -> None:
        with contextlib.suppress(ManagerError, OSError):
            logs(shown, options)

    threading.Thread(target=follow, daemon=True).start()


def _until_ended(session: Session, instance: str, is_asked: threading.Event) -> State | None:
    """Wait until the instance has ended for good, and not for a restart. Returns its last state; None when a signal came first."""
    polls = 0
    last: State | None = None

    def has_ended() -> bool:
        nonlocal polls, last
        if is_asked.is_set():
            return True
        try:
            view = session.observe().views.get(instance)
        except EngineUnreachable:  # an engine that is restarted takes nothing with it
            polls = 0
            return False
        state: State = "missing" if view is None else view.verdict.state
        polls = polls + 1 if state in ENDED else 0
        if view is None or polls == ENDED_POLLS:
            last = state
        return last is not None

    is_asked.wait(POLL_S)
    wait_until(has_ended, poll=POLL_S, sleep=is_asked.wait)
    return last


@contextlib.contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C and by SIGTERM, as systemd sends it. Only the main thread may listen for signals.

    No exception: one that is raised wherever the program happens to be can be lost there, and the bot would trade on.
    """
    is_asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield is_asked
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        is_asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield is_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
