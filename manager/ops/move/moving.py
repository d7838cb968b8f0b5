"""Move an instance from one machine to another, step by step; each one is safe to repeat.

Before the tombstone is written, a failure leads back by itself. From then on the instance starts nowhere
until the move is run again, or called off by `--back`, which the other side has to confirm.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from manager.config.fleet import Fleet
from manager.errors import FAILED, OK, ManagerError, UsageError
from manager.fleet.tombstone import Tombstone
from manager.i18n import Text, mark
from manager.ops.hosts.ssh import CommandResult
from manager.ops.move import bound, refusals, staging
from manager.ops.move import journal as journals
from manager.ops.move.bound import Move, Say
from manager.ops.move.journal import ORDER, Journal, Step
from manager.ops.move.sides import COPY_S, Side
from manager.util import console, formatting

COMMAND_S = 600.0
"""A halt that waits for the bots' last requests, behind a step of a move that was killed."""


def run(move: Move, *, is_dry: bool = False) -> int:
    """Begin a move, or finish one that was interrupted. Returns the exit code. Raises ManagerError."""
    with staging.locked(move.fleet, move.instance, "caller", 0.0):
        journal = journals.load(move.fleet, move.instance)
        if journal is not None and not journal.is_done and bound.is_overtaken(move, journal):
            move.say(
                Text("{id}: it was moved otherwise since the last move was begun here", id=move.instance)
            )
            journal = journal._replace(is_done=True)
            if (
                not is_dry
            ):  # else it would be in the way of each move, which may be refused for another reason
                journals.save(move.fleet, move.instance, journal)
        if journal is None or journal.is_done:
            journal = _begun(move, journal)
        elif _is_turned(move, journal):
            journal = _turned(move, journal)
        elif (journal.source, journal.target) != (move.source.name, move.target.name):
            raise UsageError(
                "{id} is being moved from {source} to {target}: finish that, or call it off with"
                " `manager move {id} --back`",
                id=move.instance,
                source=journal.source,
                target=journal.target,
            )
        else:
            bound.require_same(move, journal)
            # What was checked at the halt may have been hours ago, and what was copied may be gone.
            if journal.step == "bury":
                journal = journal._replace(step="halt")
            elif journal.step in {"copy", "put"}:
                journal = journal._replace(step="pack", is_found=True)
            move.say(Text("{id}: the move goes on at: {step}", id=move.instance, step=journal.step))
        if is_dry:
            for step in ORDER[ORDER.index(journal.step) :]:
                move.say(Text("{id}: would {what}", id=move.instance, what=journals.MEANING[step]))
            return OK
        journals.save(move.fleet, move.instance, journal)
        return _go_on(bound.bound(move, journal), journal)


def back(fleet: Fleet, instance: str, side: Callable[[str], Side], say: Say) -> int:
    """Call off a move that was not finished. Returns the exit code. Raises ManagerError."""
    with staging.locked(fleet, instance, "caller", 0.0):
        journal = journals.load(fleet, instance)
        if journal is None or journal.is_done:
            raise UsageError("no move of {id} is under way here", id=instance)
        move = Move(fleet, instance, side(journal.source), side(journal.target), say)
        bound.require_same(move, journal)
        move = bound.bound(move, journal)
        if bound.is_overtaken(move, journal):
            journals.save(fleet, instance, journal._replace(is_done=True))
            say(
                Text(
                    "{id}: it was moved otherwise since; this move counts no more, and nothing was started",
                    id=instance,
                )
            )
            return FAILED
        return _back(move, journal)


def _begun(move: Move, last: Journal | None) -> Journal:
    """Look at both sides, and return a new move. Raises ManagerError if it cannot be made."""
    salt = os.urandom(16).hex()
    asked = {"id": move.instance, "salt": salt}
    here = move.source.step("look", {**asked, "age_s": move.age_s})
    facts = {name: here.get(name) for name in ("fingerprints", "config", "account")}
    there = move.target.step("look", {**asked, **facts, "age_s": move.age_s})
    stone = Tombstone(*here["stone"].values()) if here["stone"] else None
    other = there if move.source.host is None else here
    host = bound.other(move).host
    journal = Journal(
        os.urandom(12).hex(),
        move.source.name,
        move.target.name,
        1 + max(here["newest"], there["newest"], last.generation if last else 0),
        bool(here["ran"]),
        "halt",
        url=host.url if host else "",
        machine=other["machine"],
        port=here["port"],
        before_here=here["orders"],
        before_there=there["orders"],
    )
    if stone is not None and bound.has_lost_journal(move, stone, there, last):
        return journal._replace(
            move=stone.move,
            generation=stone.generation,
            did_run=stone.did_run,
            step="pack",
            is_found=True,
        )
    if why := refusals.why_not(move, here, there, stone):
        raise ManagerError("{id} is not moved: {why}", id=move.instance, why=why)
    if here.get("has_drift"):
        move.say(
            Text(
                "{id}: {file} was changed since its container was made; {host} starts it by the changed one",
                id=move.instance,
                file=here["config"],
                host=move.target.name,
            )
        )
    return journal


def _is_turned(move: Move, journal: Journal) -> bool:
    """Return whether the move brings back what has arrived by the last one, and may not be started there."""
    has_turned = (journal.source, journal.target) == (move.target.name, move.source.name)
    return has_turned and journal.has_reached("start")


def _turned(move: Move, last: Journal) -> Journal:
    """Return the move back. It is started if the last move was to, and neither machine was told otherwise."""
    bound.require_same(move, last)
    journal = _begun(bound.bound(move, last), last)
    if journal.did_run or not last.did_run:
        return journal
    for side, before in ((move.source, last.before_there), (move.target, last.before_here)):
        asked = {"before": dict(before), "has_arrived": side == move.source}
        if why := side.step("told", _request(move, last, asked))["why"]:
            move.say(Text("{id}: {why}; it will not be started", id=move.instance, why=why))
            return journal
    return journal._replace(did_run=True)


def _go_on(move: Move, journal: Journal) -> int:
    left_down: Text | None = None
    for step in ORDER[ORDER.index(journal.step) :]:
        journal = journal._replace(step=step)
        try:
            journals.save(move.fleet, move.instance, journal)
            left_down = DOING[step](move, journal) or left_down
        except ManagerError as error:
            raise _explained(move, journal, error) from error
    journals.save(move.fleet, move.instance, journal._replace(is_done=True))
    move.say(
        Text(
            "{id} is on {host} now, generation {number}",
            id=move.instance,
            host=move.target.name,
            number=journal.generation,
        )
    )
    if left_down is not None:
        move.say(left_down)
    return OK if left_down is None else FAILED


def _explained(move: Move, journal: Journal, error: ManagerError) -> ManagerError:
    """Return what to do about a failure; before the tombstone, after having gone back."""
    if journal.has_reached("clean"):
        return type(error)(
            mark("{id} is moved; {why}; run `{words}` again"), id=move.instance, why=error, words=move.words
        )
    if journal.has_reached("start"):
        return type(error)(
            mark(
                "{id} is on {host}, and does not run yet: {why}; run `{words}` again, or start it there;"
                " `{back}` brings it back"
            ),
            id=move.instance,
            host=move.target.name,
            why=error,
            words=move.words,
            back=bound.turned(move).words,
        )
    if not journal.has_reached("pack"):
        try:
            _back(move, journal)
        except ManagerError as another:
            return type(error)(
                mark(
                    "{id} is not moved: {why}; going back failed too: {another}; run"
                    " `manager move {id} --back`"
                ),
                id=move.instance,
                why=error,
                another=another,
            )
        return type(error)(
            mark("{id} is not moved, and is as it was before: {why}"), id=move.instance, why=error
        )
    return type(error)(
        mark("{id} runs nowhere now: {why}; run `{words}` again to go on, or `manager move {id} --back`"),
        id=move.instance,
        why=error,
        words=move.words,
    )


def _back(move: Move, journal: Journal) -> int:
    """Call it off: the target first, which must not accept it any more, then the source."""
    asked = {
        "id": move.instance,
        "move": journal.move,
        "generation": journal.generation,
        "from": move.source.label,
        "may_be_buried": journal.has_reached("bury"),
    }
    if journal.has_reached("copy") or journal.is_found:
        move.target.step("forget", asked)
    move.source.step("dig-up", asked)
    why = ""
    if journal.did_run:
        completed, why = _commanded(move, move.source, "resume", journal, journal.before_here)
        if completed.code != OK:
            raise ManagerError(
                "{id} belongs to {host} again, and could not be started: {why}",
                id=move.instance,
                host=move.source.name,
                why=_last_line(completed.err or completed.out),
            )
    journals.remove(move.fleet, move.instance)
    move.say(Text("{id}: the move was called off; it is on {host}", id=move.instance, host=move.source.name))
    if why:
        move.say(Text("{id}: {why}; it was not started", id=move.instance, why=why))
    return FAILED if why else OK


def _halt(move: Move, journal: Journal) -> None:
    completed, _why = _commanded(move, move.source, "halt", journal, journal.before_here)
    for line in completed.out.splitlines():
        move.say(Text("{host}: {line}", host=move.source.name, line=line))
    if completed.code != OK:
        raise ManagerError(
            "{host}: halt did not find it down and without orders: {why}",
            host=move.source.name,
            why=_last_line(completed.err or completed.out),
        )


def _bury(move: Move, journal: Journal) -> None:
    asked = {"to": move.target.label, "did_run": journal.did_run, "before": dict(journal.before_here)}
    move.source.step("bury", _request(move, journal, asked))
    move.say(Text("{id}: tombstone on {host}", id=move.instance, host=move.source.name))


def _pack(move: Move, journal: Journal) -> None:
    packed = move.source.step("pack", _request(move, journal), limit=COPY_S)
    move.say(
        Text(
            "{id}: backed up, {rows} rows, {size}",
            id=move.instance,
            rows=packed["rows"],
            size=formatting.file_size(packed["bytes"]),
        )
    )
    for path in packed["left_out"]:
        move.say(Text("{id}: stays on {host}: {what}", id=move.instance, host=move.source.name, what=path))


def _copy(move: Move, journal: Journal) -> None:
    with tempfile.TemporaryFile(dir=staging.make(move.fleet, move.instance)) as content:
        facts = move.source.step("send", _request(move, journal), target=content, limit=COPY_S)
        content.seek(0)
        move.target.step("receive", _request(move, journal, facts), payload=content, limit=COPY_S)
    move.say(Text("{id}: copied to {host}", id=move.instance, host=move.target.name))


def _keys(move: Move, journal: Journal) -> None:
    values = move.source.step("give-keys", _request(move, journal))["values"]
    added = move.target.step("take-keys", _request(move, journal, {"values": values}))["added"]
    if added:
        names = ", ".join(added)
        move.say(
            Text(
                "{id}: written to .env of {host}: {names}",
                id=move.instance,
                host=move.target.name,
                names=names,
            )
        )


def _put(move: Move, journal: Journal) -> None:
    asked = {
        "from": move.source.label,
        "did_run": journal.did_run,
        "port": journal.port,
        "before": dict(journal.before_there),
    }
    rows = move.target.step("put", _request(move, journal, asked), limit=COPY_S)["rows"]
    if rows is not None:
        move.say(Text("{id}: restored, {rows} rows compared", id=move.instance, rows=rows))


def _arrive(move: Move, journal: Journal) -> None:
    move.target.step("arrive", _request(move, journal))


def _start(move: Move, journal: Journal) -> Text | None:
    """Start it, unless either side was told otherwise since the move began. Returns why it was not."""
    if not journal.did_run:
        move.say(Text("{id} did not run before, and is not started", id=move.instance))
        return None
    why = move.source.step("told", _request(move, journal, {"before": dict(journal.before_here)}))["why"]
    completed = CommandResult(OK, "", "")
    if not why:
        completed, why = _commanded(move, move.target, "start", journal, journal.before_there)
    if completed.code != OK:
        raise ManagerError("{why}", why=_last_line(completed.err or completed.out))
    return Text("{id}: {why}; it was not started", id=move.instance, why=why) if why else None


def _clean(move: Move, journal: Journal) -> None:
    for side in (move.target, move.source):
        side.step("clean", _request(move, journal))


DOING: Mapping[Step, Callable[[Move, Journal], Text | None]] = {
    "halt": _halt,
    "bury": _bury,
    "pack": _pack,
    "copy": _copy,
    "keys": _keys,
    "put": _put,
    "arrive": _arrive,
    "start": _start,
    "clean": _clean,
}


def _commanded(
    move: Move, side: Side, command: str, journal: Journal, before: Mapping[str, Any]
) -> tuple[CommandResult, str]:
    """Have a side halt or start the instance; return what its manager said, or why it was not started."""
    answer = side.step(command, _request(move, journal, {"before": dict(before)}), limit=COMMAND_S)
    if why := answer.get("why"):
        return CommandResult(OK, "", ""), str(why)
    return CommandResult(int(answer["code"]), str(answer["out"]), str(answer["err"])), ""


def _request(move: Move, journal: Journal, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    own = {"id": move.instance, "move": journal.move, "generation": journal.generation}
    return {**own, **(more or {})}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return console.without_label(lines[-1].strip()) if lines else "-"
