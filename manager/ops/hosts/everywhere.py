"""Run one command here and on all hosts at once; one that does not answer delays none of the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.errors import ManagerError, TimedOut
from manager.ops.hosts import last_seen, ssh
from manager.ops.hosts.registry import HERE, Host
from manager.ops.hosts.ssh import CommandResult

READING_S = 20.0
UNREACHABLE = "unreachable"
HALTING_S = 180.0
"""A halt waits for bots that cancel their orders, and then asks the exchange."""


class Answer(NamedTuple):
    """Hold what one machine answered. `host`: its name. `error`: why it did not."""

    host: str
    completed: CommandResult | None = None
    error: ManagerError | None = None


def run(hosts: Iterable[Host], here: Path, words: Sequence[str], timeout: float) -> list[Answer]:
    """Run `manager WORDS` on this machine and on each host; return the answers, this machine's first."""
    calls: list[tuple[str, Callable[[], CommandResult]]] = [(HERE, lambda: _run_here(here, words, timeout))]
    return _all(calls + [(host.name, _on(host, words, timeout)) for host in hosts])


def ask(hosts: Iterable[Host], words: Sequence[str], timeout: float, stdin: bytes = b"") -> list[Answer]:
    """Run `manager WORDS` on each host, and nothing here; return the answers in order."""
    return _all([(host.name, _on(host, words, timeout, stdin)) for host in hosts])


def _all(calls: Sequence[tuple[str, Callable[[], CommandResult]]]) -> list[Answer]:
    with ThreadPoolExecutor(max(1, len(calls))) as pool:
        return list(pool.map(_answer, calls))


def _on(host: Host, words: Sequence[str], timeout: float, stdin: bytes = b"") -> Callable[[], CommandResult]:
    return lambda: ssh.run(host, words, timeout, stdin)


def _answer(call: tuple[str, Callable[[], CommandResult]]) -> Answer:
    name, run_there = call
    try:
        return Answer(name, run_there())
    except ManagerError as error:
        return Answer(name, error=error)


def _run_here(folder: Path, words: Sequence[str], timeout: float) -> CommandResult:
    command = [sys.executable, "-m", "manager", "--project-dir", str(folder), *words]
    try:
        completed = subprocess.run(command, capture_output=True, timeout=timeout, check=False, text=True)
    except subprocess.TimeoutExpired as error:
        raise TimedOut("this machine did not answer within {limit} s", limit=round(timeout)) from error
    return CommandResult(completed.returncode, completed.stdout, completed.stderr)


class Row(NamedTuple):
    """Hold one instance of one machine, as `ps --json` has it. `age`: seconds since it was last seen."""

    host: str
    values: dict[str, Any]
    age: float | None = None


def rows(fleet: Fleet, answers: Iterable[Answer], now: float) -> list[Row]:
    """Return every instance; those of a machine that does not answer as they were last seen."""
    collected: list[Row] = []
    for answer in answers:
        read = _rows_in(answer)
        if read is not None:
            if answer.host != HERE:
                last_seen.save(fleet, answer.host, read)
            collected += [Row(answer.host, values) for values in read]
            continue
        seen = last_seen.load(fleet, answer.host)
        if seen is None or not seen.rows:
            collected.append(Row(answer.host, {"id": "?", "state": UNREACHABLE}))
            continue
        for values in seen.rows:
            old = {**values, "state": UNREACHABLE, "last_state": values.get("state")}
            collected.append(Row(answer.host, old, now - seen.at))
    return collected


def _rows_in(answer: Answer) -> list[dict[str, Any]] | None:
    """Return the rows of an answer; None if it is no array of `ps --json`."""
    if answer.completed is None:
        return None
    try:
        content = json.loads(answer.completed.out)
        return [dict(row) for row in content] if isinstance(content, list) else None
    except (ValueError, TypeError):
        return None
