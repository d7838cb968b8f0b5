"""Carry out the actions of an import.

The config is copied last, so that an interrupted import can be repeated.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Mapping
from typing import assert_never

from manager.config import dotenv
from manager.config.fleet import Fleet
from manager.errors import ManagerError, writing_to
from manager.fleet import import_records, state_file
from manager.fleet.state_file import FleetState, Wish
from manager.ops.actions.action import Outcome
from manager.ops.migrate import copies, inspect, plan, stop
from manager.ops.migrate.inspect import ImportFacts, OldConfig
from manager.ops.migrate.plan import ImportAction
from manager.util import atomic_file, strict_json
from manager.util.interrupts import Interruption
from manager.util.trusted_folder import trusted_target


def run(
    actions: Iterable[ImportAction],
    facts: ImportFacts,
    fleet: Fleet,
    on_done: Callable[[Outcome[ImportAction]], object],
) -> list[Outcome[ImportAction]]:
    """Carry out the actions in order. `on_done` receives each outcome.

    A failed action cancels the remaining ones of its instance, but not those of others. An interruption names
    what was stopped in the old system, and not imported: a repeated import goes on with it.
    """
    outcomes: list[Outcome[ImportAction]] = []
    try:
        _run(actions, facts, fleet, on_done, outcomes)
    except Interruption as interruption:
        done = {outcome.action.subject for outcome in outcomes if outcome.action.kind == "config"}
        stopped = import_records.stopped(fleet, facts.folder)
        interruption.left = [config.id for config in facts.configs if config.id in stopped - done]
        raise
    return outcomes


def _run(
    actions: Iterable[ImportAction],
    facts: ImportFacts,
    fleet: Fleet,
    on_done: Callable[[Outcome[ImportAction]], object],
    outcomes: list[Outcome[ImportAction]],
) -> None:
    todo = [action for action in actions if action.changes]
    failed: set[str] = set()
    stops = [_config_of(action) for action in todo if action.kind == "stop"]
    if stops:  # before any is stopped: an import that ends in the middle would not know that they ran
        import_records.note_stopped(fleet, facts.folder, [config.id for config in stops])
    for config in stops:  # concurrently: each may take most of a minute
        stop.request_stop(config)
    until = stop.deadline()
    for action in todo:
        if action.subject in failed:
            continue
        started = time.monotonic()
        error: ManagerError | None = None
        try:
            if action.kind == "stop":
                stop.await_end(_config_of(action), facts.folder, until)
            else:
                _execute(action, facts, fleet)
        except ManagerError as caught:
            error = caught
        except (OSError, sqlite3.Error) as caught:
            why = (caught.strerror if isinstance(caught, OSError) else None) or caught
            error = ManagerError("cannot import {id}: {why}", id=action.subject, why=why)
        if error is not None:
            failed.add(action.subject)
        outcomes.append(Outcome(action, time.monotonic() - started, error))
        on_done(outcomes[-1])


def _config_of(action: ImportAction) -> OldConfig:
    assert action.config is not None, action
    return action.config


def _execute(action: ImportAction, facts: ImportFacts, fleet: Fleet) -> None:
    match action.kind:
        case "database":
            copies.copy_database(_config_of(action), facts, fleet)
        case "logs":
            copies.copy_logs(_config_of(action), action.names, facts, fleet)
        case "remember":
            _record(_config_of(action), facts, fleet)
        case "config":
            _copy_config(_config_of(action), facts, fleet)
        case "names":
            _add_variables(dict.fromkeys(action.names, ""), fleet)
        case "values":
            _add_variables({name: facts.variables.old[name] for name in action.names}, fleet)
        case "stop" | "warn" | "leave" | "refuse":
            raise AssertionError(action.kind)
        case _:
            assert_never(action.kind)


def _copy_config(config: OldConfig, facts: ImportFacts, fleet: Fleet) -> None:
    """Copy the config, which makes the instance the fleet's.

    From then on an import may no longer replace its database.
    """
    stop.require_ended(config, facts.folder)
    if config.database is None:
        copies.record_origin(config, facts, fleet, [], None)
    path = fleet.project_dir / config.target
    atomic_file.create(path, config.content)
    known = import_records.read(fleet)
    import_records.save(fleet, {**known, config.id: known[config.id]._replace(placed=None)})
    import_records.forget_stopped(fleet, facts.folder, config.id)


def _record(config: OldConfig, facts: ImportFacts, fleet: Fleet) -> None:
    def changed(state: FleetState) -> FleetState:
        if config.names_id:
            state = state.with_id(config.target, config.id)
        if (port := plan.port_to_keep(config, facts)) is not None:
            state = state.with_ports({config.id: port})
        wish: Wish = "run" if config.ran else "stopped"
        if state.of(config.id).wish != wish:
            state = state.with_wish([config.id], wish)
        if (when := inspect.registered_at(config.record)) is not None:
            state = state.with_registered([config.id], when)
        return state

    state_file.update(fleet, changed)


def _add_variables(values: Mapping[str, str], fleet: Fleet) -> None:
    """Add lines to `.env` and restrict it to its owner. A name without a value gets one."""
    with writing_to(fleet.dotenv_file):
        path = trusted_target(fleet.dotenv_file)  # keep a symlink a symlink
    try:
        before = strict_json.read_bytes(path, dotenv.MAX_BYTES)
        status = path.stat()
        owner = (
            (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        )  # a user's file stays the user's
    except FileNotFoundError:
        before, owner = b"", None
    if len(before) > dotenv.MAX_BYTES:
        raise ManagerError("{path} is larger than {limit} bytes", path=path, limit=dotenv.MAX_BYTES)
    try:
        lines = before.decode().splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ManagerError("{path} is not UTF-8; nothing was added to it", path=path) from error
    unchanged = "".join(line for line in lines if not _is_empty_assignment(line, values))
    added = "".join(_assignment(name, value) for name, value in values.items())
    text = unchanged + ("" if unchanged.endswith("\n") or not unchanged else "\n") + added
    atomic_file.replace_bytes(path, text.encode(), 0o600, owner)


def _is_empty_assignment(line: str, names: Container[str]) -> bool:
    return any(name in names and not value for name, value in dotenv.parse(line).variables.items())


def _assignment(name: str, value: str) -> str:
    """Return the line that gives a variable this value, quoted where needed. Raises ManagerError."""
    if (written := dotenv.quoted(value)) is None:
        raise ManagerError("{name} has a value that cannot be written in .env; add it by hand", name=name)
    return f"{name}={written}\n"
