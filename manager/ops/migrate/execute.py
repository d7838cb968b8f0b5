"""Does the steps of an import. Every file gets its name when it is whole, the config last; a killed run can begin anew."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple, assert_never

from manager.config.fleet import Fleet
from manager.config.variables import MAX_DOTENV_BYTES, parse_dotenv
from manager.errors import ManagerError
from manager.fleet import import_records, state_file
from manager.ops.migrate import copies, inspect, plan, stop
from manager.ops.migrate.inspect import Facts, Found
from manager.ops.migrate.plan import Step
from manager.util import atomic_file, ownership, strict_json


class Outcome(NamedTuple):
    """How a step went."""

    step: Step
    error: ManagerError | None = None


def run(
    steps: Iterable[Step], facts: Facts, fleet: Fleet, on_done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Does the steps in order. A failure ends its instance's, and no other's. `on_done` hears of each as it ends."""
    todo = [step for step in steps if step.changes]
    failed: set[str] = set()
    outcomes: list[Outcome] = []
    for step in todo:  # all at once: each may take most of a minute
        if step.kind == "stop":
            stop.ask(_instance(step))
    until = stop.deadline()
    for step in todo:
        if step.subject in failed:
            continue
        try:
            if step.kind == "stop":
                stop.await_end(_instance(step), facts.folder, until)
            else:
                _do(step, facts, fleet)
            outcome = Outcome(step)
        except ManagerError as error:
            outcome = Outcome(step, error)
        except (OSError, sqlite3.Error) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or error
            outcome = Outcome(step, ManagerError("cannot import {id}: {why}", id=step.subject, why=why))
        if outcome.error:
            failed.add(step.subject)
        outcomes.append(outcome)
        on_done(outcome)
    return outcomes


def _instance(step: Step) -> Found:
    assert step.found is not None, step
    return step.found


def _do(step: Step, facts: Facts, fleet: Fleet) -> None:
    match step.kind:
        case "database":
            copies.copy_database(_instance(step), facts, fleet)
        case "logs":
            copies.copy_logs(_instance(step), step.names, facts, fleet)
        case "remember":
            _remember(_instance(step), facts, fleet)
        case "config":
            _copy_config(_instance(step), facts, fleet)
        case "names":
            _add_variables(dict.fromkeys(step.names, ""), fleet)
        case "values":
            _add_variables({name: facts.variables.old[name] for name in step.names}, fleet)
        case "stop" | "leave" | "refuse":
            raise AssertionError(step.kind)
        case _:
            assert_never(step.kind)


def _copy_config(found: Found, facts: Facts, fleet: Fleet) -> None:
    """With it the instance is the fleet's, and its database no longer one that an import may replace."""
    stop.require_ended(found, facts.folder)
    if found.database is None:
        copies.note(found, facts, fleet, [], None)
    path = fleet.project_dir / found.target
    atomic_file.create(path, found.content)
    known = import_records.read(fleet)
    import_records.save(fleet, {**known, found.id: known[found.id]._replace(placed=None)})


def _remember(found: Found, facts: Facts, fleet: Fleet) -> None:
    after = state_file.load(fleet.state_file, fleet.name)
    if found.names_id:
        after = after.with_id(found.target, found.id)
    if (port := plan.port_to_keep(found, facts)) is not None:
        after = after.with_ports({found.id: port})
    if (when := inspect.registered_at(found.record)) is not None:
        after = after.with_registered([found.id], when)
    ownership.make_folder(fleet.state_file.parent)
    state_file.save(fleet.state_file, after)


def _add_variables(values: Mapping[str, str], fleet: Fleet) -> None:
    """Adds lines to `.env`, which only its owner can read from then on. A name that stands there without a value gets one."""
    path = fleet.dotenv_file.resolve()  # a link stays one
    try:
        before = strict_json.read_bytes(path, MAX_DOTENV_BYTES)
        found = path.stat()
        owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else None  # root keeps no user's file
    except FileNotFoundError:
        before, owner = b"", None
    if len(before) > MAX_DOTENV_BYTES:
        raise ManagerError("{path} is larger than {limit} bytes", path=path, limit=MAX_DOTENV_BYTES)
    try:
        lines = before.decode().splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ManagerError("{path} is not UTF-8: nothing was added to it", path=path) from error
    kept = "".join(line for line in lines if not _is_empty_one(line, values))
    added = "".join(f"{name}={_quoted(value)}\n" for name, value in values.items())
    text = kept + ("" if kept.endswith("\n") or not kept else "\n") + added
    atomic_file.replace_bytes(path, text.encode(), 0o600, owner)


def _is_empty_one(line: str, names: Container[str]) -> bool:
    found, _faults = parse_dotenv(line)
    return any(name in names and not value for name, value in found.items())


def _quoted(value: str) -> str:
    """So that reading the line gives this very value again."""
    return value if parse_dotenv(f"X={value}")[0] == {"X": value} else f'"{value}"'
