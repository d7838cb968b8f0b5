"""Run one command here and on all hosts at once; one that does not answer delays none of the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manager.config.fleet import Fleet
from manager.errors import BUG, NO_ENGINE, OK, ManagerError, TimedOut
from manager.ops.hosts import last_seen, ssh
from manager.ops.hosts.registry import HERE, Host
from manager.ops.hosts.ssh import CommandResult
from manager.typed import NamedTuple
from manager.util import console
from manager.util.sanitize import replace_unprintable

READING_S = 20.0
UNREACHABLE = "unreachable"
UNKNOWN_ID = "?"
"""Stands for the instances of a machine that was never seen, or had none then."""
HALTING_S = 300.0
"""A halt spreads its stops over two minutes at most, waits for bots that cancel their orders, and then asks
the exchange.
"""


class Answer(NamedTuple):
    """Hold what one machine answered. `host`: its name; `url`: its address. `error`: why it did not."""

    host: str
    completed: CommandResult | None = None
    error: ManagerError | None = None
    url: str = ""

    @property
    def last_line(self) -> str:
        """Return the last line that it printed as an error, else the first one that it printed at all.

        That is where a shell's start-up file says hello, and no JSON is.
        """
        done = self.completed or CommandResult(0, "", "")
        out, err = ([line for line in text.splitlines() if line.strip()] for text in (done.out, done.err))
        line = (err[-1:] or out[:1] or ["-"])[0].strip()[:MOST_SAID]
        return replace_unprintable(console.without_label(line))

    @property
    def has_run(self) -> bool:
        """Return whether its manager has carried the command out, with whatever success.

        What fails before that prints errors alone: a Python without its packages, a line that is refused.
        """
        done = self.completed
        if done is None or done.code in {*ssh.NOT_RUN, BUG, NO_ENGINE}:
            return False
        return done.code == OK or bool(done.out.strip())


MOST_SAID = 300
Call = tuple[str, str, Callable[[], CommandResult]]


def run(hosts: Iterable[Host], here: Path, words: Sequence[str], timeout: float) -> list[Answer]:
    """Run `manager WORDS` on this machine and on each host; return the answers, this machine's first."""
    return _all([_here(here, words, timeout), *_on_each(hosts, words, timeout)])


def as_they_come(
    hosts: Iterable[Host], here: Path | None, words: Sequence[str], timeout: float, timeout_here: float | None
) -> Iterator[Answer]:
    """Run `manager WORDS` on this machine and on each host; yield each answer as it comes.

    `here`: None not to run it here. `timeout_here`: None to wait as long as it takes.
    """
    of_this = [] if here is None else [_here(here, words, timeout_here)]
    calls = [*of_this, *_on_each(hosts, words, timeout)]
    with interruptible_pool(len(calls)) as pool:
        for future in as_completed([pool.submit(_answer, call) for call in calls]):
            yield future.result()


def ask(hosts: Iterable[Host], words: Sequence[str], timeout: float, stdin: bytes = b"") -> list[Answer]:
    """Run `manager WORDS` on each host, and nothing here; return the answers in order."""
    return _all(_on_each(hosts, words, timeout, stdin))


def ask_one(host: Host, words: Sequence[str], timeout: float) -> Answer:
    """Run `manager WORDS` on one host, in this thread."""
    [call] = _on_each([host], words, timeout)
    return _answer(call)


def _all(calls: Sequence[Call]) -> list[Answer]:
    with interruptible_pool(len(calls)) as pool:
        return list(pool.map(_answer, calls))


@contextmanager
def interruptible_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool that, when somebody interrupts, does not wait for machines that do not answer."""
    pool = ThreadPoolExecutor(max(1, count))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False)


def _here(folder: Path, words: Sequence[str], timeout: float | None) -> Call:
    return HERE, "", lambda: _run_here(folder, words, timeout)


def _on_each(hosts: Iterable[Host], words: Sequence[str], timeout: float, stdin: bytes = b"") -> list[Call]:
    def on(host: Host) -> Callable[[], CommandResult]:
        return lambda: ssh.run(host, words, timeout, stdin)

    return [(host.name, host.url, on(host)) for host in hosts]


def _answer(call: Call) -> Answer:
    name, url, run_there = call
    try:
        return Answer(name, run_there(), url=url)
    except ManagerError as error:
        return Answer(name, error=error, url=url)


def _run_here(folder: Path, words: Sequence[str], timeout: float | None) -> CommandResult:
    command = [sys.executable, "-m", "manager", "--project-dir", str(folder), *words]
    try:
        completed = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,  # a question would not be seen
            capture_output=True,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut("this machine did not answer within {limit} s", limit=round(timeout or 0)) from error
    return CommandResult(completed.returncode, completed.stdout, completed.stderr)


class Row(NamedTuple):
    """Hold one instance of one machine, as `ps --json` has it. `age`: seconds since it was last seen."""

    host: str
    values: dict[str, Any]
    age: float | None = None


def rows(fleet: Fleet, answers: Iterable[Answer], now: float, *, is_whole: bool = True) -> list[Row]:
    """Return every instance; those of a machine that does not answer as they were last seen.

    `is_whole`: each was asked for all of its instances, and what it answers is what it was last seen with.
    """
    collected: list[Row] = []
    for answer in answers:
        read = rows_in(answer)
        if read is not None:
            if is_whole and answer.host != HERE:
                last_seen.save(fleet, answer.host, answer.url, read)
            collected += [Row(answer.host, values) for values in read]
            continue
        seen = last_seen.load(fleet, answer.host, answer.url)
        if seen is None or not seen.rows:
            age = None if seen is None else now - seen.at
            collected.append(
                Row(answer.host, {"id": UNKNOWN_ID, "state": UNREACHABLE, "severity": "bad"}, age)
            )
            continue
        collected += [
            Row(answer.host, _unreachable(values, now - seen.at), now - seen.at) for values in seen.rows
        ]
    return collected


def _unreachable(values: dict[str, Any], age: float) -> dict[str, Any]:
    """Return an instance as it was seen so long ago; nobody can rely on it, and its report has aged with it.

    One that may trade real money needs a person.
    """
    severity, report_age = values.get("severity"), values.get("report_age_s")
    may_trade = values.get("mode") == "live" and severity != "off"
    aged = (
        {} if not isinstance(report_age, int | float) else {"report_age_s": round(report_age + max(0.0, age))}
    )
    return {
        **values,
        **aged,
        "state": UNREACHABLE,
        "last_state": values.get("state"),
        "severity": "bad" if may_trade or severity == "bad" else "warn",
        "report_is_old": True,
    }


def rows_in(answer: Answer) -> list[dict[str, Any]] | None:
    """Return the objects of an answer; None if it is no JSON array of them."""
    return None if answer.completed is None else _objects(answer.completed.out)


def lines_in(answer: Answer) -> list[dict[str, Any]] | None:
    """Return the objects of an answer in which each line is one, as of `logs --json`; None if it is none."""
    if answer.completed is None or (answer.completed.code and not answer.completed.out):
        return None
    return _objects(f"[{','.join(answer.completed.out.splitlines())}]")


def objects_or_error(answer: Answer) -> list[dict[str, object]]:
    """Return the objects of an answer, each with its machine's name; one with the error if it is none."""
    objects = rows_in(answer)
    if objects is None:
        objects = lines_in(answer)
    if objects is None:
        return [{"host": answer.host, "id": None, "error": str(answer.error or answer.last_line)}]
    return [{**values, "host": answer.host} for values in objects]


def tells_nothing(answer: Answer) -> ManagerError:
    """Return the error for a machine that ssh reaches, and that does not answer what it was asked."""
    return ManagerError(
        "host {name} does not report what runs there ({why}); run `manager host check {name}`",
        name=answer.host,
        why=answer.last_line,
    )


def _objects(text: str) -> list[dict[str, Any]] | None:
    try:
        content = json.loads(text)
        return [dict(row) for row in content] if isinstance(content, list) else None
    except (ValueError, TypeError, RecursionError):
        return None
