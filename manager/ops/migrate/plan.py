"""What would be taken over from the old system, step by step, each with its cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from manager.errors import BAD_CONFIG, FAILED, OK, worst_exit_code
from manager.i18n import Text
from manager.ops.migrate.inspect import Facts, Found, registered_at, web_port
from manager.util.formatting import MB

Kind = Literal["stop", "database", "logs", "remember", "config", "names", "values", "leave", "refuse"]


class Options(NamedTuple):
    """What the command line allows beyond configs and databases. `ids`: only these instances; none: all."""

    logs: bool = False
    env: bool = False
    stop_old: bool = False
    ids: tuple[str, ...] = ()


class ImportAction(NamedTuple):
    """One thing to do, to leave or to refuse, with its cause. `found` is the instance's; `names` are variables, or days of logs.

    `code`: what a refusal ends the command with.
    """

    kind: Kind
    subject: str
    cause: Text
    found: Found | None = None
    names: tuple[str, ...] = ()
    code: int = OK

    @property
    def changes(self) -> bool:
        """Whether it does something."""
        return self.kind not in {"leave", "refuse"}


def plan(facts: Facts, options: Options) -> list[ImportAction]:
    """Return the actions, an instance after the other, its config last: until then nothing can start it."""
    chosen = [each for each in facts.found if not options.ids or each.id in options.ids]
    actions = [action for each in chosen for action in _instance(each, facts, options)]
    if options.ids:
        return [*actions, *(_variables(facts, options) if options.env else ())]
    return [*actions, *_variables(facts, options), *_rest(facts)]


def exit_code(actions: Iterable[ImportAction]) -> int:
    """What the refusals among them come to."""
    return worst_exit_code([action.code for action in actions if action.kind == "refuse"])


def _instance(found: Found, facts: Facts, options: Options) -> Iterator[ImportAction]:
    if found.place == "same" or (found.place == "other" and found.is_imported):
        yield from _present(found, options)
        return
    refusals = list(_refusals(found, options))
    if refusals:
        yield from refusals
        return
    if found.running.pids:
        pids = ", ".join(map(str, found.running.pids))
        yield ImportAction(
            "stop", found.id, Text("the old system runs it (processes {pids})", pids=pids), found
        )
    if found.database is None:
        yield ImportAction("leave", found.id, Text("no database: there is none yet"), found)
    else:
        size = f"{found.database.size / MB:.1f}"
        cause = Text("{size} MB, with what is in its -wal", size=size)
        yield ImportAction("database", found.id, cause, found)
    yield from _logs(found, options)
    yield from _remembered(found, facts)
    yield from _ignored(found)
    yield ImportAction(
        "config", found.id, Text("{source} → {target}", source=found.file, target=found.target), found
    )


def _present(found: Found, options: Options) -> Iterator[ImportAction]:
    """What was taken over before."""
    if found.running.pids:
        cause = Text(
            "is imported, and the old system runs it again (processes {pids}): stop it there before you start it here",
            pids=", ".join(map(str, found.running.pids)),
        )  # fmt: skip
        yield ImportAction("refuse", found.id, cause, found, code=FAILED)
    elif found.imported and found.database and found.imported.taken != found.database.stamps:
        cause = Text(
            "is imported, and its old database has changed since: to take it anew, `manager down {id}`, move {target} and"
            " the new database away, and import again",
            id=found.id, target=found.target,
        )  # fmt: skip
        yield ImportAction("leave", found.id, cause, found)
    elif found.place == "other":
        yield ImportAction(
            "leave", found.id, Text("is imported, and {target} was changed since", target=found.target), found
        )
    else:
        yield ImportAction("leave", found.id, Text("is imported"), found)
    yield from _logs(found, options)


def _refusals(found: Found, options: Options) -> Iterator[ImportAction]:
    def refuse(cause: Text, code: int = FAILED) -> ImportAction:
        return ImportAction("refuse", found.id, cause, found, code=code)

    for problem in (*found.loaded.problems, *found.conflicts):
        yield refuse(Text("{problem}", problem=problem), BAD_CONFIG)
    if found.place == "other":
        yield refuse(Text("{target} is there already, and is another config", target=found.target))
    if found.has_database and found.place == "free":
        yield refuse(Text("the fleet has a database of that name already: move it away"))
    if found.database is not None and found.database.fault:
        path = found.database.path
        yield refuse(Text("its database is no file of that folder: {path}", path=path))
    running = found.running
    stubborn = [pid for pid in running.pids if pid not in running.may_stop]
    pids = ", ".join(map(str, running.pids))
    if running.pids and not options.stop_old:
        yield refuse(
            Text(
                "the old system runs it (processes {pids}): stop it there, or let --stop-old do it", pids=pids
            )
        )
    elif stubborn and not running.daemons:
        pids = ", ".join(map(str, stubborn))
        cause = Text("processes {pids} run it, and are not certainly the old system's: stop them", pids=pids)
        yield refuse(cause)
    elif found.database and found.database.open_by and found.database.open_by not in running.pids:
        yield refuse(
            Text(
                "process {pid} has its database open: stop it, and look for orders that it left",
                pid=found.database.open_by,
            )
        )


def _logs(found: Found, options: Options) -> Iterator[ImportAction]:
    if not options.logs:
        return
    if found.days:
        cause = Text("dated folders: {count}, from {first} on", count=len(found.days), first=found.days[0])
        yield ImportAction("logs", found.id, cause, found, found.days)
    if found.old_days:
        cause = Text(
            "dated log folders: {count} are older than log_retention_days and would be removed at once",
            count=found.old_days,
        )
        yield ImportAction("leave", found.id, cause, found)


def _remembered(found: Found, facts: Facts) -> Iterator[ImportAction]:
    """What the old registry knows, and no config says."""
    parts = []
    if found.names_id:
        parts.append(Text("the id that --instance-id gave it"))
    if port_to_keep(found, facts) is not None:
        parts.append(Text("port {port}", port=port_to_keep(found, facts)))
    if (when := registered_at(found.record)) is not None:
        parts.append(Text("first registered {when}", when=when))
    if parts:
        yield ImportAction("remember", found.id, Text("{what}", what=_Joined(parts)), found)


class _Joined:
    """Several texts in one line, translated where it is shown."""

    def __init__(self, parts: list[Text]) -> None:
        self.parts = parts

    def __str__(self) -> str:
        return ", ".join(map(str, self.parts))


def port_to_keep(found: Found, facts: Facts) -> int | None:
    """The port that the old registry gave a config which names none, if nobody has it."""
    port = web_port(found.record)
    if found.loaded.spec is None or found.loaded.spec.web_port is not None:
        return None
    taken = {each.web_port for each in facts.memory.instances.values()}
    taken |= {each.loaded.spec.web_port for each in facts.found if each.loaded.spec}
    return None if port in taken else port


def _ignored(found: Found) -> Iterator[ImportAction]:
    """Keys that the image decides."""
    daemon = (found.loaded.described or {}).get("daemon_config", {})
    names = [name for name in ("python_path", "script_path", "working_dir") if daemon.get(name)]
    if names:
        cause = Text("{names}: accepted, the image decides these", names=", ".join(names))
        yield ImportAction("leave", found.id, cause, found)


def _variables(facts: Facts, options: Options) -> Iterator[ImportAction]:
    old, own, faults = facts.variables
    for number, why in faults:
        yield ImportAction(
            "refuse", ".env", Text("line {number}: {why}", number=number, why=why), code=FAILED
        )
    if options.env:
        wanted = tuple(sorted(name for name, value in old.items() if value and not own.get(name)))
        if wanted:
            cause = Text("with their values, not shown: {names}", names=", ".join(wanted))
            yield ImportAction("values", ".env", cause, names=wanted)
        others = sorted(
            name for name, value in old.items() if value and own.get(name, value) not in {"", value}
        )
        if others:
            cause = Text("other values are here already: {names}", names=", ".join(others))
            yield ImportAction("leave", ".env", cause)
        return
    wanted = tuple(sorted(set(old) - set(own)))
    if wanted:
        cause = Text(
            "names only, for you to fill in (--env copies the values): {names}", names=", ".join(wanted)
        )
        yield ImportAction("names", ".env", cause, names=wanted)


def _rest(facts: Facts) -> Iterator[ImportAction]:
    if not facts.is_registry_readable:
        yield ImportAction(
            "leave", "logs/instances.json", Text("cannot be parsed: ports and registrations stay behind")
        )
    for path in facts.left:
        yield ImportAction("leave", path, Text("no config names it"))
    if facts.has_bot:
        cause = Text("the bot's code goes into an image: `manager build --bot DIR`")
        yield ImportAction("leave", "run.py", cause)
