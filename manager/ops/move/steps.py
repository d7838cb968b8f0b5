"""Carry out one side's part of a move.

Each step may be repeated, and refuses what does not belong to its move.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from manager.config import bot_environment, dotenv
from manager.config.fleet import Fleet
from manager.config.models import ID_PATTERN
from manager.errors import ManagerError, UsageError, writing_to
from manager.fleet import halt_mark, lock, tombstone
from manager.fleet.session import Session
from manager.fleet.tombstone import Generation, Tombstone
from manager.i18n import Text
from manager.ops.backup import instance_locks, make, rehearse, restore, verify
from manager.ops.folders import bot_user
from manager.ops.hosts import identity
from manager.ops.move import account, dotenv_lines, fitting, left_unknown, orders, presence, staging
from manager.ops.move.orders import Answer, Request
from manager.util import formatting
from manager.util.trusted_folder import open_in_trusted, trusted, unlink_in_trusted

PROTOCOL = 2
"""Of the requests and answers of two managers; raised when an older one would misunderstand."""
LOCK_S = 300.0
"""A step of a move that was killed goes on to its end, and the next one waits for it."""
CHUNK = 1 << 20


class Streams:
    """Hold what follows a request, and where what follows the answer goes."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self.source, self.target = source, target
        self.after: Path | None = None


def run(session: Session, name: str, streams: Streams) -> None:
    """Read a request, carry out the step, and write the answer. Raises ManagerError."""
    request = json.loads(streams.source.readline(1 << 20))
    instance = str(request["id"])
    if name not in STEPS or not ID_PATTERN.fullmatch(instance):
        raise UsageError("there is no step {name} of a move", name=name)
    if request["protocol"] != PROTOCOL:
        raise ManagerError("the manager here has another version; install the same version on both machines")
    fleet = session.project().fleet
    if request.get("machine") and request["machine"] != staging.machine(fleet):
        raise ManagerError(
            "this is not the machine that the move of {id} was begun with; add that one under its name again",
            id=instance,
        )
    with staging.locked(fleet, instance, "side", LOCK_S):
        answer = STEPS[name](session, instance, request, streams)
        streams.target.write(json.dumps(answer).encode() + b"\n")
        if streams.after is not None:
            with streams.after.open("rb") as content:
                shutil.copyfileobj(content, streams.target, CHUNK)
        streams.target.flush()


def look(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Say what this side has of the instance, and whether its .env has other values than the other side's."""
    snapshot = session.observe()
    project, fleet = snapshot.project, snapshot.project.fleet
    spec, stone = project.specs.get(instance), tombstone.find(fleet, instance)
    salt = str(request["salt"])
    values = bot_environment.named_variables(spec, project.variables) if spec else {}
    lacks = fitting.needs_database(project, instance) and not fitting.has_database(project, instance)
    file, own_file = request.get("config"), presence.config_file(snapshot, instance)
    return {
        "config_of": None if file is None else fitting.other_owner(project, instance, str(file)),
        "lacks": str(fitting.no_database(project, instance)) if lacks else None,
        "here": tombstone.generation(fleet, instance).number,
        "here_by": tombstone.generation(fleet, instance).move,
        "newest": tombstone.newest(fleet, instance),
        "stone": _stone_as_told(stone),
        "is_up": presence.is_in_use(snapshot, instance),
        "ran": presence.is_to_go_on(snapshot, instance),
        "has_drift": "config" in snapshot.plan_input.drift(instance),
        "machine": staging.machine(fleet),
        "own": dotenv_lines.fingerprint(salt, own) if (own := identity.of(fleet).own) else "",
        "orders": orders.orders(fleet, instance, orders.given_at(request, session)),
        "is_known": spec is not None,
        "config": own_file,
        "pinned": presence.pin(fleet, own_file) if own_file else None,
        "problems": [
            str(problem) for problem in project.problems if own_file and problem.concerns({own_file})
        ],
        "blocking": [str(problem) for problem in project.blocking_problems],
        "has_image": bool(snapshot.image.id),
        "port": next((spec.web_port for spec in project.loaded.specs if spec.id == instance), None),
        "ports": {str(other.web_port): other.id for other in project.specs.values() if other.id != instance},
        "account": account.told(snapshot, instance, salt),
        "account_of": account.other_on(snapshot, instance, request.get("account"), salt),
        "fingerprints": {name: dotenv_lines.fingerprint(salt, value) for name, value in values.items()},
        "unlike": dotenv_lines.unlike(fleet.dotenv_file, salt, request.get("fingerprints", {})),
        **presence.room(fleet.data_dir),
        "bytes": presence.size(fleet.database_dir(instance)),
        "databases": fitting.database_bytes(project, instance),
    }


def _stone_as_told(stone: Tombstone | None) -> Answer | None:
    """Return a tombstone for another manager, also for an earlier one: it takes these values, and no more."""
    if stone is None:
        return None
    return {name: value for name, value in stone._asdict().items() if name != "is_leaving"}


def halt(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Halt the instance, as a person does. A mark that another command has made meanwhile stays."""
    before = halt_mark.own(session.project().fleet, instance)
    is_ours = before is None or before.identity in (request["move"], request["before"].get("own"))
    return orders.commanded(session, ["halt", instance], move=request["move"] if is_ours else None)


def told(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Say whether this side was told since the move began that the instance is not to run.

    `has_arrived`: this side is where the move has brought it.
    """
    fleet = session.project().fleet
    if request.get("has_arrived") is True and tombstone.generation(fleet, instance).move == request["move"]:
        return {"why": orders.newer_order(fleet, instance, request) or orders.ended(session, instance)}
    if tombstone.find(fleet, instance) is None:
        return {"why": str(Text("it was moved otherwise meanwhile"))}
    return {"why": orders.newer_order(fleet, instance, request)}


def start(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Start the instance and wait until it is healthy, unless it was told otherwise since the move began."""
    return orders.start(session, instance, request, "start")


def resume(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Have the instance go on here as before the move, in the same way: what had ended stays so."""
    return orders.start(session, instance, request, "resume")


def bury(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Write the tombstone, if the instance is down and nothing newer is here."""
    fleet = session.project().fleet
    stone = Tombstone(request["generation"], request["to"], request["move"], did_run=request["did_run"])
    with lock.held(fleet.lock_file, "move", LOCK_S) as held:
        held.wait_for_engine()
        present = tombstone.find(fleet, instance)
        if present is not None and present.move == stone.move and not present.is_arriving:
            return {}
        _require_newer(fleet, instance, stone.generation)
        presence.require_down(session.observe(), instance)
        orders.mark(fleet, instance, stone, request)
        tombstone.bury(fleet, instance, stone)
    return {}


def pack(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Back up what the instance has here."""
    project = session.project()
    _require_buried(project.fleet, instance, request["move"])
    staging.clean(project.fleet, instance)
    folder = staging.make(project.fleet, instance)
    earlier = project.fleet.backup_dir
    made = make.make(project, [instance], folder, None, lambda _saved: None, earlier)
    if faults := made.saved[0].faults:
        raise ManagerError("backup of {id} failed: {why}", id=instance, why="; ".join(faults))
    if fitting.needs_database(project, instance) and not made.manifest.has_database(instance):
        why = fitting.no_database(project, instance)
        raise ManagerError("backup of {id} failed: {why}", id=instance, why=why)
    path = folder / staging.BACKUP
    with writing_to(path):
        made.path.rename(path)
    rows = sum(sum(facts.get("rows", {}).values()) for facts in made.manifest.files.values())
    return {**_facts(path), "rows": rows, "left_out": [f"{name}: {why}" for name, why in made.left_out]}


def send(session: Session, instance: str, request: Request, streams: Streams) -> Answer:
    """Have the backup follow the answer."""
    fleet = session.project().fleet
    _require_buried(fleet, instance, request["move"])
    streams.after = staging.folder(fleet, instance) / staging.BACKUP
    return {**_facts(streams.after), "is_left_unknown": left_unknown.is_unknown(fleet, instance)}


def receive(session: Session, instance: str, request: Request, streams: Streams) -> Answer:
    """Write the backup that follows the request, and check that it is whole."""
    fleet = session.project().fleet
    if staging.is_restored(fleet, instance, request["move"]):
        return {}
    path = staging.make(fleet, instance) / staging.BACKUP
    part, digest, left = path.with_suffix(".part"), hashlib.sha256(), int(request["bytes"])
    with writing_to(part):
        descriptor = open_in_trusted(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(descriptor, "wb") as stream:
            while left and (chunk := streams.source.read(min(CHUNK, left))):
                digest.update(chunk)
                stream.write(chunk)
                left -= len(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        if left or digest.hexdigest() != request["sha256"]:
            unlink_in_trusted(part)
            raise ManagerError("the backup of {id} did not arrive whole; run the move again", id=instance)
        with trusted(path.parent) as folder:
            (folder / part.name).rename(folder / path.name)
    staging.note_left(fleet, instance, is_unknown=request.get("is_left_unknown"))
    return {}


def give_keys(session: Session, instance: str, _request: Request, _streams: Streams) -> Answer:
    """Answer with the variables that the instance's config names, and no others."""
    project = session.project()
    spec = project.specs.get(instance)
    return {"values": bot_environment.named_variables(spec, project.variables) if spec else {}}


def take_keys(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Write what is missing of them to .env, of what the config that has arrived names."""
    project = session.project()
    fleet = project.fleet
    _require_newer(fleet, instance, request["generation"], request["move"])
    present = dotenv.read(fleet.dotenv_file).variables
    if unlike := [
        name for name, value in request["values"].items() if present.get(name) and present[name] != value
    ]:
        raise ManagerError(
            "{names} in .env has another value than on the machine that it comes from",
            names=", ".join(unlike),
        )
    values = fitting.require_own_keys(project, instance, request["values"], present)
    return {"added": dotenv_lines.add(fleet.dotenv_file, values)}


def put(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Restore the backup into place, with every table's rows compared before; nothing is started by it."""
    project = session.project()
    fleet, move = project.fleet, str(request["move"])
    number = int(request["generation"])
    path = staging.folder(fleet, instance) / staging.BACKUP
    with lock.held(fleet.lock_file, "move", LOCK_S) as held:
        held.wait_for_engine()
        if tombstone.generation(fleet, instance).move == move:
            return {"rows": None}
        _require_newer(fleet, instance, number, move)
        if staging.is_restored(fleet, instance, move):
            return {"rows": None}
        snapshot = session.observe()
        presence.require_down(snapshot, instance)
        fitting.require_room(project, instance, request.get("port"))
        rehearsed = rehearse.rehearse_restore(path)
        begun = tombstone.find(fleet, instance)
        if begun is None or begun.move != move:  # else it was found fitting before, and may be there by half
            fitting.require_fitting(session.project(), instance, rehearsed.manifest)
        stone = Tombstone(number, request["from"], move, is_arriving=True, did_run=request["did_run"])
        if begun is None or begun.move != move:  # else its mark was made, and another one is newer
            orders.mark(fleet, instance, stone, request)
        tombstone.bury(fleet, instance, stone)
        presence.remove_leftover(session, snapshot, instance)
        with verify.workspace(path) as work:
            backup = restore.open_backup(path, work)
            plan = restore.plan_restore(backup, project, [instance], formatting.stamp(time.time()))
            with instance_locks.hold_instance_locks(fleet, [instance], []):
                restore.perform(plan, plan.actions(), _owner(session, fleet), lambda _outcome: None)
        staging.note_restored(fleet, instance, move)
    return {"rows": rehearsed.rows}


def arrive(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Make this side the one that the instance belongs to."""
    fleet, move = session.project().fleet, str(request["move"])
    with lock.held(fleet.lock_file, "move", LOCK_S):
        present, stone = tombstone.generation(fleet, instance), tombstone.find(fleet, instance)
        if present.move != move:
            is_next = stone is not None and stone.is_arriving and stone.move == move
            if not (is_next and staging.is_restored(fleet, instance, move)):
                raise ManagerError(
                    "{id} cannot arrive: this move was called off, or its data are missing", id=instance
                )
        if present.move != move:  # else it is here, and its exchange may have answered since
            left_unknown.keep(fleet, instance)
        if present.move != move or (stone is not None and stone.move == move):
            tombstone.settle(fleet, instance, Generation(int(request["generation"]), move))
    return {}


def forget(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Call off a move to this side: from now on it cannot arrive. Refused once it has."""
    fleet, move = session.project().fleet, str(request["move"])
    with lock.held(fleet.lock_file, "move", LOCK_S):
        number, stone = int(request["generation"]), tombstone.find(fleet, instance)
        is_others = stone is not None and stone.generation >= number and stone.move != move
        has_arrived = tombstone.generation(fleet, instance).number >= number
        if has_arrived or is_others or tombstone.newest(fleet, instance) > number:
            raise ManagerError(
                "{id} has arrived there already; run the same move again, to finish it, or move it back",
                id=instance,
            )
        staging.clean(fleet, instance)  # first: on a full disk it is what leaves no room for the tombstone
        tombstone.bury(fleet, instance, Tombstone(number, request["from"], move, did_run=False))
    return {}


def dig_up(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Have the instance belong to this side again, after the other one has called the move off."""
    fleet, move = session.project().fleet, str(request["move"])
    with lock.held(fleet.lock_file, "move", LOCK_S):
        stone, present = tombstone.find(fleet, instance), tombstone.generation(fleet, instance)
        number = int(request["generation"])
        if stone is not None and (stone.move != move or present.number > number):
            raise ManagerError("{id} is not brought back: {why}", id=instance, why=stone.why)
        staging.clean(fleet, instance)
        # Without a tombstone, too, it becomes a newer one: a step of a move that was killed may be late.
        may_be_late = request.get("may_be_buried") is True and present.number < number
        if stone is not None or may_be_late:
            tombstone.settle(fleet, instance, Generation(number, move, present.first))
    return {}


def clean(session: Session, instance: str, request: Request, _streams: Streams) -> Answer:
    """Remove what only this move needed; a newer one may have begun."""
    fleet, move = session.project().fleet, request["move"]
    stone = tombstone.find(fleet, instance)
    if (stone.move if stone else tombstone.generation(fleet, instance).move) == move:
        staging.clean(fleet, instance)
    return {}


Step = Callable[[Session, str, Request, Streams], Answer]
STEPS: Mapping[str, Step] = {
    "look": look,
    "halt": halt,
    "told": told,
    "start": start,
    "resume": resume,
    "bury": bury,
    "pack": pack,
    "send": send,
    "receive": receive,
    "give-keys": give_keys,
    "take-keys": take_keys,
    "put": put,
    "arrive": arrive,
    "forget": forget,
    "dig-up": dig_up,
    "clean": clean,
}


def _require_newer(fleet: Fleet, instance: str, number: int, move: str = "") -> None:
    """Raise ManagerError if this side knows of the generation, unless by this very move to it."""
    stone = tombstone.find(fleet, instance)
    is_own = stone is not None and stone.is_arriving and stone.move == move
    newest = tombstone.newest(fleet, instance)
    if newest >= number and not is_own:
        raise ManagerError(
            "{id}: this machine knows of generation {newest}, and the move is to make it {number}",
            id=instance,
            newest="?" if newest == tombstone.UNKNOWN else newest,
            number=number,
        )


def _require_buried(fleet: Fleet, instance: str, move: str) -> None:
    stone = tombstone.find(fleet, instance)
    if stone is None or stone.move != move or stone.is_arriving:
        raise ManagerError("{id} has no tombstone of this move here; nothing was done", id=instance)


def _facts(path: Path) -> Answer:
    with writing_to(path), path.open("rb") as stream:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _owner(session: Session, fleet: Fleet) -> tuple[int, int]:
    """Return (uid, gid) of the bots' files."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    fleet.data_dir.mkdir(parents=True, exist_ok=True)
    return bot_user.configured_user(fleet, session.project().variables).owner
