"""Does the steps of an import. Every file gets its name when it is whole, the config last; a killed run can begin anew."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, assert_never

import psutil

from manager import folders, imports, jsonfile, memory, olddaemon
from manager.environment import MAX_DOTENV_BYTES, parse_dotenv
from manager.errors import ManagerError, TimedOut
from manager.fleet import Fleet
from manager.importing import plan, survey
from manager.importing.plan import Step
from manager.importing.survey import Facts, Found
from manager.imports import Import

OLD_STOP_S = 60.0
"""What the old system gives its bots: cancelling their orders took it up to 50 s."""

POLL_S = 0.2


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
            _ask_to_stop(_instance(step))
    deadline = time.monotonic() + OLD_STOP_S
    for step in todo:
        if step.subject in failed:
            continue
        try:
            if step.kind == "stop":
                _await_end(_instance(step), facts.folder, deadline)
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
            _copy_database(_instance(step), facts, fleet)
        case "logs":
            _copy_logs(_instance(step), step.names, facts, fleet)
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


# The old daemon


def _ask_to_stop(found: Found) -> None:
    """SIGTERM, once, to the daemons: a bot that is stopped alone is started again. A bot without a daemon gets it itself.

    What cannot be sent one is found to go on, later.
    """
    running = found.running
    for pid in running.daemons or running.bots:
        if pid in running.may_stop:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                psutil.Process(pid).terminate()


def _await_end(found: Found, folder: Path, deadline: float) -> None:
    """Until the old system runs it no more, and a bot that its daemon has started meanwhile neither."""
    while left := _still_there(found, folder):
        if time.monotonic() >= deadline:
            raise TimedOut(
                "{id} does not end: processes {pids} go on after {seconds} s; end them, look at the exchange for open"
                " orders, and import again",
                id=found.id, pids=", ".join(map(str, sorted(left))), seconds=int(OLD_STOP_S),
            )  # fmt: skip
        time.sleep(POLL_S)


def _still_there(found: Found, folder: Path) -> set[int]:
    left = {pid for pid in found.running.pids if olddaemon.is_alive(pid)} | set(_running(found, folder).pids)
    if found.database and (user := folders.process_with_open(found.database.path)):
        left.add(user)
    return left


def _running(found: Found, folder: Path) -> olddaemon.Running:
    assert found.loaded.spec is not None
    return olddaemon.look(folder).running(found.id, found.source, found.loaded.spec.log_dir)


def _require_ended(found: Found, folder: Path) -> None:
    """Once more, where it counts: somebody may have started it since the plan."""
    if pids := _running(found, folder).pids:
        raise ManagerError(
            "{id} was started again by the old system (processes {pids}): stop it there, and import again",
            id=found.id, pids=", ".join(map(str, pids)),
        )  # fmt: skip


# Files


@contextlib.contextmanager
def _staging(fleet: Fleet, instance: str) -> Iterator[Path]:
    """An empty folder of our own; what a killed run left there is removed."""
    folder = imports.staging_dir(fleet) / instance
    imports.staging_dir(fleet).mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_database(found: Found, facts: Facts, fleet: Fleet) -> None:
    """A consistent copy gets the database's name; the old files are only read.

    They are copied as they are, and the copy is opened: SQLite brings a -wal or a hot -journal in, which in the old
    folder would change the old files.
    """
    assert found.loaded.spec is not None
    assert found.database is not None
    source, target = found.database.path, fleet.data_dir / found.loaded.spec.db_path
    with _staging(fleet, found.id) as folder:
        before = survey.stamps(source)
        for suffix in ("", "-wal", "-journal"):
            part = source.with_name(source.name + suffix)
            if part.is_file():
                shutil.copyfile(part, folder / f"raw{suffix}")
        if user := folders.process_with_open(source):
            raise ManagerError(
                "process {pid} has the database of {id} open: stop it, and import again",
                pid=user,
                id=found.id,
            )
        if survey.stamps(source) != before:
            raise ManagerError("the database of {id} changed while it was copied: something writes to it", id=found.id)  # fmt: skip
        copied = folder / "copy"
        _backup(folder / "raw", copied, found.id)
        copied.chmod(source.stat().st_mode & 0o777 | 0o600)
        _note(found, facts, fleet, before, imports.stamp(copied))
        _make_parents(target, fleet)
        if found.is_placed or not os.path.lexists(target):
            copied.replace(target)
        else:
            raise ManagerError("{path} is there already", path=target)


def _backup(raw: Path, copied: Path, instance: str) -> None:
    """SQLite's own copy, checked and on the disk. Raises ManagerError for a damaged database, sqlite3.Error, OSError."""
    with contextlib.closing(sqlite3.connect(raw)) as old, contextlib.closing(sqlite3.connect(copied)) as new:
        old.backup(new)
        found = [row[0] for row in new.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"]:
        raise ManagerError("the database of {id} is damaged ({why}): nothing of it was imported", id=instance, why=found[0])  # fmt: skip
    with copied.open("rb") as stream:
        os.fsync(stream.fileno())


def _copy_logs(found: Found, days: tuple[str, ...], facts: Facts, fleet: Fleet) -> None:
    """Each day's folder as a whole; of what lies in it only files and folders."""
    assert found.loaded.spec is not None
    target = fleet.data_dir / found.loaded.spec.log_dir
    _make_parents(target / "day", fleet)
    with _staging(fleet, found.id) as folder:
        for day in days:
            source, copied = facts.folder / found.loaded.spec.log_dir / day, folder / day
            shutil.copytree(source, copied, ignore=_no_files, symlinks=True)
            if os.geteuid() == 0:
                owner = target.stat()
                folders.give_away(copied, (owner.st_uid, owner.st_gid))
            if not os.path.lexists(target / day):
                copied.rename(target / day)


def _no_files(folder: str, names: list[str]) -> list[str]:
    """Links, sockets and pipes."""
    paths = {name: Path(folder, name) for name in names}
    return [
        name for name, path in paths.items() if path.is_symlink() or not (path.is_file() or path.is_dir())
    ]


def _make_parents(target: Path, fleet: Fleet) -> None:
    """The folders above a target below the data folder; a link among them would lead out of it."""
    folder = fleet.data_dir
    for part in target.parent.relative_to(fleet.data_dir).parts:
        folder = folder / part
        folders.real_folder(folder, 0o755)


def _copy_config(found: Found, facts: Facts, fleet: Fleet) -> None:
    """With it the instance is the fleet's, and its database no longer one that an import may replace."""
    _require_ended(found, facts.folder)
    if found.database is None:
        _note(found, facts, fleet, [], None)
    path = fleet.project_dir / found.target
    jsonfile.create(path, found.content, owner=_owner_of(path.parent))
    known = imports.read(fleet)
    imports.save(fleet, {**known, found.id: known[found.id]._replace(placed=None)})


def _note(
    found: Found, facts: Facts, fleet: Fleet, taken: list[imports.Stamp], placed: imports.Stamp | None
) -> None:
    """Remembers where the instance comes from, before anything of it is there."""
    assert found.loaded.spec is not None
    note = Import(str(facts.folder), found.file, found.loaded.spec.log_dir, taken, placed)
    imports.save(fleet, {**imports.read(fleet), found.id: note})


def _remember(found: Found, facts: Facts, fleet: Fleet) -> None:
    after = memory.load(fleet.memory_file, fleet.name)
    if found.names_id:
        after = after.with_id(found.target, found.id)
    if (port := plan.port_to_keep(found, facts)) is not None:
        after = after.with_ports({found.id: port})
    if (when := survey.registered_at(found.record)) is not None:
        after = after.with_registered([found.id], when)
    fleet.memory_file.parent.mkdir(parents=True, exist_ok=True)
    memory.save(fleet.memory_file, after)


def _add_variables(values: Mapping[str, str], fleet: Fleet) -> None:
    """Adds lines to `.env`, which only its owner can read from then on. A name that stands there without a value gets one."""
    path = fleet.dotenv_file
    try:
        before = jsonfile.content(path, MAX_DOTENV_BYTES).decode()
        owner = _owner_of(path)
    except FileNotFoundError:
        before, owner = "", _owner_of(path.parent)
    kept = [line for line in before.splitlines() if not _is_empty_one(line, values)]
    text = "\n".join([*kept, *(f"{name}={_quoted(value)}" for name, value in values.items())]) + "\n"
    jsonfile.replace(path, lambda fd: jsonfile.write_all(fd, text.encode()), 0o600, owner)


def _is_empty_one(line: str, names: Container[str]) -> bool:
    found, _faults = parse_dotenv(line)
    return any(name in names and not value for name, value in found.items())


def _quoted(value: str) -> str:
    """So that reading the line gives this very value again."""
    return value if parse_dotenv(f"X={value}")[0] == {"X": value} else f'"{value}"'


def _owner_of(path: Path) -> tuple[int, int] | None:
    """Whose a new file beside or in place of this one should be: root must not keep what was a user's."""
    found = path.stat()
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 else None
