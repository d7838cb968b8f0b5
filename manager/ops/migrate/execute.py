"""Does the actions of an import. Every file gets its name when it is whole, the config last; a killed run can begin anew."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Mapping
from typing import assert_never

from manager.config.fleet import Fleet
from manager.config.variables import MAX_DOTENV_BYTES, parse_dotenv
from manager.errors import ManagerError
from manager.fleet import import_records, state_file
from manager.fleet.state_file import FleetState
from manager.ops.action import Outcome
from manager.ops.migrate import copies, inspect, plan, stop
from manager.ops.migrate.inspect import Facts, Found
from manager.ops.migrate.plan import ImportAction
from manager.util import atomic_file, strict_json


def run(
    actions: Iterable[ImportAction],
    facts: Facts,
    fleet: Fleet,
    on_done: Callable[[Outcome[ImportAction]], object],
) -> list[Outcome[ImportAction]]:
    """Do the actions in order. A failure ends its instance's, and no other's. `on_done` hears of each as it ends."""
    todo = [action for action in actions if action.changes]
    failed: set[str] = set()
    outcomes: list[Outcome[ImportAction]] = []
    for action in todo:  # all at once: each may take most of a minute
        if action.kind == "stop":
            stop.ask(_instance(action))
    until = stop.deadline()
    for action in todo:
        if action.subject in failed:
            continue
        began = time.monotonic()
        error: ManagerError | None = None
        try:
            if action.kind == "stop":
                stop.await_end(_instance(action), facts.folder, until)
            else:
                _do(action, facts, fleet)
        except ManagerError as caught:
            error = caught
        except (OSError, sqlite3.Error) as caught:
            why = (caught.strerror if isinstance(caught, OSError) else None) or caught
            error = ManagerError("cannot import {id}: {why}", id=action.subject, why=why)
        if error is not None:
            failed.add(action.subject)
        outcomes.append(Outcome(action, time.monotonic() - began, error))
        on_done(outcomes[-1])
    return outcomes


def _instance(action: ImportAction) -> Found:
    assert action.found is not None, action
    return action.found


def _do(action: ImportAction, facts: Facts, fleet: Fleet) -> None:
    match action.kind:
        case "database":
            copies.copy_database(_instance(action), facts, fleet)
        case "logs":
            copies.copy_logs(_instance(action), action.names, facts, fleet)
        case "remember":
            _remember(_instance(action), facts, fleet)
        case "config":
            _copy_config(_instance(action), facts, fleet)
        case "names":
            _add_variables(dict.fromkeys(action.names, ""), fleet)
        case "values":
            _add_variables({name: facts.variables.old[name] for name in action.names}, fleet)
        case "stop" | "leave" | "refuse":
            raise AssertionError(action.kind)
        case _:
            assert_never(action.kind)


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
    def changed(after: FleetState) -> FleetState:
        if found.names_id:
            after = after.with_id(found.target, found.id)
        if (port := plan.port_to_keep(found, facts)) is not None:
            after = after.with_ports({found.id: port})
        if (when := inspect.registered_at(found.record)) is not None:
            after = after.with_registered([found.id], when)
        return after

    state_file.update(fleet, changed)


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
