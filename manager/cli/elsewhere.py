"""Run a command on another host (`--host NAME`), or here and on all of them (`--hosts`)."""

from __future__ import annotations

import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

from manager import i18n
from manager.cli import following, host_answers, shown_again
from manager.cli.host_answers import state_text, text_of
from manager.cli.notices import one_output
from manager.config.bot_environment import LiveContainer
from manager.errors import (
    BAD_CONFIG,
    FAILED,
    USAGE,
    EngineError,
    ManagerError,
    UsageError,
    worst_exit_code,
)
from manager.fleet import bot_report, display
from manager.fleet.bot_report import Report
from manager.fleet.session import Session
from manager.i18n import Text, mark
from manager.ops.hosts import account_looks, everywhere, generations, last_seen, registry, ssh, versions
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.everywhere import Answer, Row
from manager.ops.hosts.generations import Gone
from manager.ops.hosts.registry import Host
from manager.util import console
from manager.util.text_table import Column

OWN_OPTIONS = ("--host", "--project-dir", "--lang")
"""Options of this machine's command line, which take a value, and are not passed on."""
NOT_THERE = mark("there is no host {name}: nothing was halted there")
READS = frozenset({"ps", "list", "status", "stats", "orders", "history", "logs", "plan", "doctor", "config"})
"""Commands that change nothing, and may be run again after a lost connection."""
LOCAL = frozenset({"host add", "host list", "host check", "host remove", "host deploy", "init", "open"})
"""Commands that concern this machine."""


def run(session: Session, args: Namespace, words: Sequence[str]) -> int:
    """Run the command line `words` elsewhere. Returns its exit code. Raises ManagerError."""
    folder, there = session.project_dir(), list(passed_on(words))
    named = sorted({*_named(words)})
    if args.command == "halt" and (args.hosts or len(named) > 1):
        return _halt(session, args, named, there)
    _require_one_meaning(args, named)
    if args.host is not None:
        if args.command in LOCAL:
            raise UsageError(
                "`manager {command}` concerns this machine; it takes no --host", command=args.command
            )
        is_read, host = args.command in READS, registry.get(folder, args.host)
        try:
            return _on(host, there, is_endless=_is_endless(args), is_read=is_read)
        except ManagerError:
            fleet = session.folders_to_halt() if args.command == "halt" else None
            if fleet is not None and (text := last_seen.not_halted(fleet, host.name, host.url)) is not None:
                console.error(text)
            raise
    readable, problems = registry.readable(folder)
    hosts = list(readable.values())
    if args.command == "ps":
        code = _ps(session, hosts, args)
    elif args.command == "logs" and args.follow:
        code = following.follow(folder, hosts, there, args)
    else:
        names, limit = {registry.HERE, *(host.name for host in hosts)}, everywhere.READING_S
        refused: list[str] = []
        answers = _noting(everywhere.as_they_come(hosts, folder, there, limit, limit), refused)
        code = host_answers.print_as_they_come(
            names,
            answers,
            as_json=args.json,
            fleet=session.folders_to_halt(),
            has_rows=args.command == "stats",
        )
        _say_versions(host for host in hosts if host.name in refused)
    for problem in problems:  # what else the file may have named is not known: it was told nothing
        console.error(problem)
    return worst_exit_code([code, BAD_CONFIG]) if problems else code


def _halt(session: Session, args: Namespace, named: Sequence[str], there: Sequence[str]) -> int:
    """Halt on every machine that the line names: on all of them and here with --hosts, whatever else it says.

    No name of which nothing is known keeps the others from being halted. Returns the exit code.
    """
    hosts, problems = registry.readable(session.project_dir())
    unknown = [name for name in named if name not in hosts]
    chosen = [host for name, host in hosts.items() if args.hosts or name in named]
    here = session.project_dir() if args.hosts else None
    names = {*(host.name for host in chosen), *([registry.HERE] if here else ())}
    refused: list[str] = []
    answers = _noting(everywhere.as_they_come(chosen, here, there, everywhere.HALTING_S, None), refused)
    code = host_answers.print_as_they_come(
        names, answers, as_json=args.json, fleet=session.folders_to_halt(), is_halt=True, ids=args.ids
    )
    _say_versions(host for host in chosen if host.name in refused)
    for error in (*(Text(NOT_THERE, name=name) for name in unknown), *problems):
        console.error(error)
    return worst_exit_code([code, *([USAGE] if unknown else []), *([BAD_CONFIG] if problems else [])])


def _require_one_meaning(args: Namespace, named: Sequence[str]) -> None:
    """Raise UsageError for a line that names machines of which one would be passed over."""
    if args.host is None:
        return
    if getattr(args, "hosts", False):
        raise UsageError("--host and --hosts exclude each other: --hosts is this machine and all others")
    if others := sorted({*named} - {args.host}):
        raise UsageError(
            "--host takes one machine, and {names} were given; run the command for each of them",
            names=", ".join([*others, args.host]),
        )


def _named(words: Sequence[str]) -> Iterator[str]:
    """Yield every machine that --host names in a command line that was read already."""
    own = words[: words.index("--")] if "--" in words else words
    for word, next_word in pairwise([*own, ""]):
        option, equals, value = word.partition("=")
        if option == "--host":
            yield value if equals else next_word


def passed_on(words: Sequence[str]) -> Iterator[str]:
    """Yield the command line as the other machine gets it: in this one's language, for its own folder."""
    yield from _in_this_language()
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield word
            yield from rest
        elif word in OWN_OPTIONS:
            next(rest, None)
        elif word != "--hosts" and word.partition("=")[0] not in OWN_OPTIONS:
            yield word


def _in_this_language() -> list[str]:
    return ["--lang", i18n.language().replace("_", "-")]


def _is_endless(args: Namespace) -> bool:
    """Return whether the command only shows something until it is ended."""
    return any(getattr(args, name, None) not in (None, False) for name in ("follow", "watch"))


def _on(host: Host, words: Sequence[str], *, is_endless: bool, is_read: bool) -> int:
    """Run it there with this terminal's input and output.

    Without a terminal one that is endless is ended there with the pipe that this process holds: it would go
    on for ever, and ssh's kept connection would hold the output open.
    """
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    sys.stdout.flush()
    if is_endless and not is_terminal:
        with subprocess.Popen(ssh.while_held(host, words), stdin=subprocess.PIPE) as process:
            code = process.wait()
    elif is_read and not is_terminal:
        code = shown_again.run(ssh.command(host, words))
    else:
        try:
            code = subprocess.run(ssh.command(host, words, on_terminal=is_terminal), check=False).returncode
        except KeyboardInterrupt:  # no terminal's: that one hands the key on
            console.warning(ssh.may_go_on(host))
            raise
    if code == ssh.SSH_FAILED or code < 0:
        raise ssh.lost(host)
    if code in ssh.NOT_RUN and "exec" not in words:  # whose exit code is that of any program
        raise ssh.no_manager(host)
    if code == USAGE:
        _say_versions([host])
    return code


def _say_versions(hosts: Iterable[Host]) -> None:
    """Say of machines that have refused a command line if their manager has another version."""
    for host in hosts:
        if (text := versions.ask(host)) is not None:
            console.warning(text)


def _noting(answers: Iterable[Answer], refused: list[str]) -> Iterator[Answer]:
    """Yield the answers, and note the machines that do not know such a command line."""
    for answer in answers:
        if answer.completed is not None and answer.completed.code == USAGE:
            refused.append(answer.host)
        yield answer


COLUMNS = (
    Column[Row]("host", mark("HOST"), lambda row: row.host),
    Column[Row]("id", mark("ID"), lambda row: text_of(row, "id")),
    Column[Row]("mode", mark("MODE"), lambda row: display.mode_text(text_of(row, "mode"))),
    Column[Row]("state", mark("STATE"), lambda row: state_text(row)),
    Column[Row]("doing", mark("DOING"), lambda row: text_of(row, "doing")),
    Column[Row]("pnl", mark("P&L"), lambda row: _pnl(row)),
    Column[Row]("position", mark("POSITION"), lambda row: _position(row)),
    Column[Row]("symbol", mark("SYMBOL"), lambda row: text_of(row, "symbol")),
    Column[Row]("note", mark("NOTE"), lambda row: _note(row)),
)


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


SHARES = "shared_account"
"""On a row that is shown: the bot of another machine that trades on the same account."""


def _note(row: Row) -> str:
    if row.values.get(SHARES):
        return str(Text("one account with {other}", other=text_of(row, SHARES)))
    if row.values.get("moved_to") and row.values.get("state") in {"stopped", "missing"}:
        return str(Text("moved to {host}", host=text_of(row, "moved_to")))
    left = display.left_text(row.values)
    return text_of(row, "unfinished_move") or left or text_of(row, "doing_why") or text_of(row, "why")


FILTERS = ("state", "mode", "exchange", "symbol", "tag")
"""Options by which `ps` leaves out instances: what is shown then is not all that a machine has."""


def _ps(session: Session, hosts: Sequence[Host], args: Namespace) -> int:
    _require_known(args)
    fleet = session.project().fleet
    filters = [f"--{name}={value}" for name in FILTERS for value in getattr(args, name)]
    order = [] if args.sort == "id" else [f"--sort={args.sort}"]
    asked = [*_in_this_language(), "ps", "--json", *filters, *order]
    with everywhere.interruptible_pool(1) as pool:
        looks = pool.submit(_looks, session, hosts)
        answers = everywhere.run(hosts, session.project_dir(), asked, everywhere.READING_S)
        machines, trading, gone = looks.result()
    repeated = {machine.host.name for machine in machines if machine.is_repeated}
    answers = [answer for answer in answers if answer.host not in repeated]
    everything = everywhere.rows(fleet, answers, time.time(), is_whole=not filters)
    rows = [
        row
        for row in everything
        if not args.ids or row.values.get("id") in {*args.ids, everywhere.UNKNOWN_ID}
    ]
    here = [str(row.values.get("id")) for row in everything if row.host == registry.HERE and _is_live(row)]
    twins = account_looks.twins(fleet, here, machines)
    shared = account_looks.shared(fleet, trading, machines, twins) if machines else []
    words_of = {(twin.host, twin.instance): str(twin.text) for twin in twins}
    other_of = {
        (side.host, side.instance): f"{other.instance} ({other.host})"
        for account in shared
        for side, other in account.sides
    }
    _print_rows(rows, words_of, other_of, args)
    for answer in answers:
        if answer.host != registry.HERE and answer.completed and everywhere.rows_in(answer) is None:
            console.error(everywhere.tells_nothing(answer))
        else:
            host_answers.say_errors(answer)
    for difference in account_looks.other_versions(machines):
        console.warning(difference)
    lost = account_looks.lost(gone, machines)
    for text in (*words_of.values(), *(account.text for account in shared), *(moved.text for moved in lost)):
        console.error(text)
    codes = [_ps_code(answer) for answer in answers]
    known = {row.values.get("id") for row in everything}
    if missing := [instance for instance in args.ids if instance not in known]:
        console.error(Text("no machine that answers has an instance {ids}", ids=", ".join(missing)))
        codes.append(USAGE)
    return worst_exit_code([*codes, FAILED] if twins or shared or lost else codes)


def _print_rows(
    rows: Sequence[Row],
    twins: Mapping[tuple[str, str], str],
    sharers: Mapping[tuple[str, str], str],
    args: Namespace,
) -> None:
    """Print the instances of all machines. `twins`, `sharers`: what each has elsewhere, by host and id."""
    if args.json:
        console.say_json(
            [
                {
                    **row.values,
                    "host": row.host,
                    "seen_ago_s": None if row.age is None else round(row.age),
                    "twin": twins.get((row.host, str(row.values.get("id")))),
                    SHARES: sharers.get((row.host, str(row.values.get("id")))),
                }
                for row in rows
            ]
        )
        return
    shown = [
        row._replace(values={**row.values, SHARES: sharers.get((row.host, str(row.values.get("id"))))})
        for row in rows
    ]
    console.say(console.table(COLUMNS, shown, args.format))


def _require_known(args: Namespace) -> None:
    """Raise UsageError for what only one machine's own `ps` can do."""
    one_output(args)
    for name in ("config", "watch", "group"):
        if getattr(args, name) not in (None, False, []):
            raise UsageError("`manager ps --hosts` knows no --{option}", option=name)


def _ps_code(answer: Answer) -> int:
    """Return the exit code of a machine's `ps`; one whose state is unknown has failed, whatever keeps it."""
    if answer.completed is None or (answer.host != registry.HERE and everywhere.rows_in(answer) is None):
        return FAILED
    return answer.completed.code


def _looks(
    session: Session, hosts: Sequence[Host]
) -> tuple[list[HostAnswer], list[LiveContainer], dict[str, Gone]]:
    """Ask for older copies and shared accounts; return the answers, what trades live here, and what went
    from here to another machine.

    On a full disk that has no key for it yet, say that they are not looked for.
    """
    if not hosts:
        return [], [], {}
    fleet, trading, gone = session.project().fleet, list[LiveContainer](), dict[str, Gone]()
    with suppress(EngineError):  # the rows of this machine tell of that
        snapshot = session.observe()
        trading, gone = snapshot.trading(()), generations.gone(fleet, snapshot.views.values())
    try:
        return account_looks.ask(fleet, account_looks.key_of(fleet), hosts), trading, gone
    except ManagerError as error:
        console.warning(
            Text("older copies and shared accounts are not looked for on other machines: {why}", why=error)
        )
        return [], trading, gone


def _is_live(row: Row) -> bool:
    return row.values.get("mode") == "live" and row.values.get("state") not in last_seen.AT_REST
