"""Run a command on another host (`--host NAME`), or here and on all of them (`--hosts`)."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from manager import i18n
from manager.config.fleet import Fleet
from manager.errors import FAILED, OK, UsageError, worst_exit_code
from manager.fleet import bot_report, display
from manager.fleet.bot_report import Report
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.ops.hosts import account_looks, everywhere, registry, ssh
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.everywhere import Answer, Row
from manager.ops.hosts.registry import Host
from manager.util import console, formatting
from manager.util.sanitize import replace_unprintable
from manager.util.text_table import Column

OWN_OPTIONS = ("--host", "--project-dir", "--lang")
"""Options of this machine's command line, which take a value, and are not passed on."""
LOCAL = frozenset({"host add", "host list", "host check", "host remove", "host deploy", "init", "open"})
"""Commands that concern this machine."""


def run(session: Session, args: Namespace, words: Sequence[str]) -> int:
    """Run the command line `words` elsewhere. Returns its exit code. Raises ManagerError."""
    folder, there = session.project_dir(), list(passed_on(words))
    if args.host is not None:
        if args.command in LOCAL:
            raise UsageError(
                "`manager {command}` concerns this machine; it takes no --host", command=args.command
            )
        return _on(registry.get(folder, args.host), there)
    hosts = list(registry.load(folder).values())
    if args.command == "ps":
        return _ps(session, hosts, there, as_json=args.json)
    if args.command == "logs" and args.follow:
        return _follow(folder, hosts, there)
    limit = everywhere.HALTING_S if args.command == "halt" else everywhere.READING_S
    return _said(everywhere.run(hosts, folder, there, limit))


def passed_on(words: Sequence[str]) -> Iterator[str]:
    """Yield the command line as the other machine gets it: in this one's language, for its own folder."""
    yield from ("--lang", i18n.language().replace("_", "-"))
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield word
            yield from rest
        elif word in OWN_OPTIONS:
            next(rest, None)
        elif word != "--hosts" and word.partition("=")[0] not in OWN_OPTIONS:
            yield word


def _on(host: Host, words: Sequence[str]) -> int:
    """Run it there with this terminal's input and output."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    sys.stdout.flush()
    completed = subprocess.run(ssh.command(host, words, on_terminal=is_terminal), check=False)
    if completed.returncode == ssh.SSH_FAILED:
        raise ssh.unreachable(host, _("see above"))
    return completed.returncode


def _said(answers: Sequence[Answer]) -> int:
    """Print what each machine said under its name; one that said nothing is an error."""
    codes = []
    for answer in answers:
        if answer.completed is not None:
            console.say(f"== {answer.host}")
            for line in answer.completed.out.splitlines():
                console.say(replace_unprintable(line))
            for line in answer.completed.err.splitlines():
                console.warn(f"{answer.host}: {replace_unprintable(line)}")
            codes.append(answer.completed.code)
        else:
            console.error(answer.error)
            codes.append(FAILED)
    return worst_exit_code(codes)


AT_REST = frozenset({"stopped", "missing", "failed", "completed"})
COLUMNS = (
    Column[Row]("host", mark("HOST"), lambda row: row.host),
    Column[Row]("id", mark("ID"), lambda row: _text(row, "id")),
    Column[Row]("mode", mark("MODE"), lambda row: display.mode_text(_text(row, "mode"))),
    Column[Row]("state", mark("STATE"), lambda row: _state(row)),
    Column[Row]("doing", mark("DOING"), lambda row: _text(row, "doing")),
    Column[Row]("pnl", mark("P&L"), lambda row: _pnl(row)),
    Column[Row]("position", mark("POSITION"), lambda row: _position(row)),
    Column[Row]("symbol", mark("SYMBOL"), lambda row: _text(row, "symbol")),
    Column[Row]("note", mark("NOTE"), lambda row: _note(row)),
)


def _text(row: Row, key: str) -> str:
    value = row.values.get(key)
    return "" if value is None else replace_unprintable(str(value))


def _report(row: Row) -> Report:
    """Return what the bot's last report says, as an earlier manager's answer has it too."""
    names = {"pnl": "last_pnl", "position": "last_position"}
    return bot_report.parse_report(
        {key: row.values.get(names.get(key, key)) for key in ("pnl", "position", "quote", "base", "market")}
    )


def _pnl(row: Row) -> str:
    return display.pnl_text(_report(row))


def _position(row: Row) -> str:
    return display.position_text(_report(row))


def _note(row: Row) -> str:
    if row.values.get("moved_to") and row.values.get("state") in {"stopped", "missing"}:
        return str(Text("moved to {host}", host=_text(row, "moved_to")))
    return _text(row, "doing_why") or _text(row, "why")


def _state(row: Row) -> str:
    if row.values.get("state") != everywhere.UNREACHABLE:
        return _(_text(row, "state"))
    if row.age is None:
        return _("unreachable")
    return str(
        Text(
            "unreachable ({state} {age} ago)", state=_(_text(row, "last_state")), age=formatting.age(row.age)
        )
    )


def _ps(session: Session, hosts: Sequence[Host], words: Sequence[str], *, as_json: bool) -> int:
    asked, fleet = [*words, *([] if as_json else ["--json"])], session.project().fleet
    with ThreadPoolExecutor(1) as pool:
        looks = pool.submit(_looks, fleet, hosts)
        answers = everywhere.run(hosts, session.project_dir(), asked, everywhere.READING_S)
        machines = looks.result()
    rows = everywhere.rows(fleet, answers, time.time())
    here = [str(row.values.get("id")) for row in rows if row.host == registry.HERE and _is_live(row)]
    twins = account_looks.twins(fleet, here, machines)
    words_of = {(twin.host, twin.instance): str(twin.text) for twin in twins}
    if as_json:
        console.say_json(
            [
                {
                    **row.values,
                    "host": row.host,
                    "seen_ago_s": None if row.age is None else round(row.age),
                    "twin": words_of.get((row.host, str(row.values.get("id")))),
                }
                for row in rows
            ]
        )
    else:
        console.say(console.table(COLUMNS, rows))
    for answer in answers:
        if answer.error is not None:
            console.error(answer.error)
    for text in words_of.values():
        console.error(text)
    codes = [FAILED if answer.completed is None else answer.completed.code for answer in answers]
    return worst_exit_code([*codes, FAILED] if twins else codes) if codes else OK


def _looks(fleet: Fleet, hosts: Sequence[Host]) -> list[HostAnswer]:
    return account_looks.ask(fleet, account_looks.key_of(fleet), hosts) if hosts else []


def _is_live(row: Row) -> bool:
    return row.values.get("mode") == "live" and row.values.get("state") not in AT_REST


def _follow(folder: Path, hosts: Sequence[Host], words: Sequence[str]) -> int:
    """Follow all machines' logs, each line behind its machine's name, until Ctrl-C."""
    here = [sys.executable, "-m", "manager", "--project-dir", str(folder), *words]
    commands = {registry.HERE: here, **{host.name: ssh.follow(host, words) for host in hosts}}
    width = max(map(len, commands))
    processes = {
        name: subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for name, command in commands.items()
    }
    readers = []
    for name, process in processes.items():
        assert process.stdout is not None
        readers.append(threading.Thread(target=_copy, args=(f"{name:<{width}} ", process.stdout)))
        readers[-1].start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # none may stay, here or there
    try:
        for reader in readers:
            reader.join()
    finally:
        for process in processes.values():
            process.terminate()
    return worst_exit_code([process.wait() for process in processes.values()])


def _copy(prefix: str, stream: IO[bytes]) -> None:
    for line in stream:
        console.say(prefix + replace_unprintable(line.decode(errors="replace").rstrip("\r\n")))
