"""Halt and start an instance for a move, so that what was ordered meanwhile stays in force."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manager import i18n
from manager.config.fleet import Fleet
from manager.errors import writing_to
from manager.fleet import halt_mark, state_file, supervisor_state, tombstone
from manager.fleet.session import Session
from manager.fleet.tombstone import Tombstone
from manager.i18n import Text
from manager.util import atomic_file, moment, ownership
from manager.util.moment import Moment

Request = Mapping[str, Any]
Answer = dict[str, Any]

UNKNOWN = Moment()
RUN = (
    "import sys; from manager.cli import main; from manager.util.moment import Moment;"
    " sys.exit(main.main(sys.argv[3:], Moment(sys.argv[1], float(sys.argv[2]))))"
)


def start(session: Session, instance: str, request: Request, command: str) -> Answer:
    """Start or resume it, unless this side was told otherwise since the move began."""
    given_at = moment.now()  # what is ordered from now on stays in force
    fleet = session.project().fleet
    if why := newer_order(fleet, instance, request):
        return {"why": why}
    if command == "resume" and supervisor_state.is_final(fleet.instance_state_dir(instance)):
        return {"why": str(Text("it has ended by itself"))}
    if command == "start" and (why := ended(session, instance)):
        return {"why": why}
    return commanded(session, [command, instance, "--wait"], given_at=given_at)


def ended(session: Session, instance: str) -> str:
    """Return that it was started by the move, and has ended by itself since; empty if that is not so."""
    if halt_mark.own(session.project().fleet, instance) is not None:
        return ""
    status = session.observe().plan_input.statuses.get(instance)
    return str(Text("it was started, and has ended since")) if status is not None and status.is_final else ""


def given_at(request: Request, session: Session) -> Moment:
    """Return when the move was asked for, by this machine's own time; an unknown moment if it is not said.

    Its age is of the moment at which this side's process was started. To load takes it seconds on a busy
    machine, in which a halt may come.
    """
    began, age_s = session.given_at, request.get("age_s")
    return began._replace(uptime_s=began.uptime_s - age_s) if isinstance(age_s, int | float) else Moment()


def orders(fleet: Fleet, instance: str, until: Moment = UNKNOWN) -> Answer:
    """Return what this machine was told about the instance: marks, desired state, the last stop or down.

    `until`: leave out what was ordered later, which is then found to be newer than the move.
    """
    own, of_all = (
        None if mark is None or mark.at.is_after(until) else mark
        for mark in (halt_mark.own(fleet, instance), halt_mark.of_fleet(fleet))
    )
    saved = state_file.load(fleet.state_file, fleet.name).of(instance)
    off = saved.called_off
    if off is not None and off.at.is_after(until):
        off = None
    return {
        "own": own.identity if own else "",
        "of_all": of_all.identity if of_all else "",
        "wish": saved.wish,
        "called_off": f"{off.by} {off.at.boot} {off.at.uptime_s}" if off else "",
    }


def newer_order(fleet: Fleet, instance: str, request: Request) -> str:
    """Return why the instance is not started by the move; empty if nothing speaks against it.

    Its mark of this move may be gone: then it has been started.
    """
    move, before = request["move"], request["before"]
    stone, present = tombstone.find(fleet, instance), orders(fleet, instance)
    if stone is not None and stone.move != move:
        return str(stone.why)
    if tombstone.newest(fleet, instance) > int(request["generation"]):
        return str(Text("it was moved otherwise meanwhile"))
    is_halted = present["own"] not in ("", move) or present["of_all"] not in ("", before.get("of_all", ""))
    if is_halted:
        return str(Text("it was halted meanwhile"))
    is_stopped = present["wish"] != "run" and present["wish"] != before.get("wish", "run")
    if is_stopped or present["called_off"] != before.get("called_off", present["called_off"]):
        return str(Text("it was stopped meanwhile"))
    return ""


def mark(fleet: Fleet, instance: str, stone: Tombstone, request: Request) -> None:
    """Make the halt mark of the move; one that was made since the move began stays."""
    own = halt_mark.own(fleet, instance)
    if own is None or own.identity in (stone.move, request["before"].get("own")):
        with writing_to(fleet.secrets_dir(instance)):
            ownership.make_folder(fleet.secrets_dir(instance), 0o700)
            _require_room(fleet.secrets_dir(instance))
            halt_mark.make(fleet, instance, "halt", did_run=stone.did_run, identity=stone.move)


def _require_room(folder: Path) -> None:
    """Raise OSError if a mark would be empty: it would be a person's halt to the same move, run again."""
    path = folder / ".room"
    atomic_file.replace_bytes(path, b" " * halt_mark.SIZE, halt_mark.MODE, durable=False)
    path.unlink(missing_ok=True)


def commanded(
    session: Session, words: Sequence[str], *, move: str | None = None, given_at: Moment | None = None
) -> Answer:
    """Run a command of this manager, while no other step of a move is at work. Returns what it said.

    `move`: the one that makes the halt's mark. `given_at`: what was ordered later is in force.
    """
    place = ["--lang", i18n.language().replace("_", "-"), "--project-dir", str(session.project_dir())]
    at = given_at or moment.now()
    completed = subprocess.run(
        [sys.executable, "-c", RUN, at.boot, str(at.uptime_s), *place, *words],
        env={**os.environ, **({halt_mark.OF_MOVE: move} if move else {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    out, err = (text.decode(errors="replace") for text in (completed.stdout, completed.stderr))
    return {"code": completed.returncode, "out": out, "err": err}
