"""Plan an import of the old system as actions, each with its cause. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from manager.config import steering
from manager.config.exchanges import EXCHANGES
from manager.config.loaded import config_name
from manager.errors import BAD_CONFIG, FAILED, OK, worst_exit_code
from manager.i18n import Text, listed
from manager.ops.backup.manifest import is_printable
from manager.ops.migrate.inspect import Database, ImportFacts, OldConfig, registered_at, web_port
from manager.typed import NamedTuple
from manager.util.formatting import file_size

Kind = Literal["stop", "database", "logs", "remember", "config", "names", "values", "warn", "leave", "refuse"]


class ImportOptions(NamedTuple):
    """Hold what the command line requests beyond configs and databases.

    `ids`: only these instances; empty: all.
    """

    logs: bool = False
    env: bool = False
    stop_old: bool = False
    ids: tuple[str, ...] = ()


class ImportAction(NamedTuple):
    """Hold one thing to do, to skip or to refuse, with its cause.

    `config`: the instance's; `names`: variables, or days of logs; `code`: the exit code of a refusal.
    """

    kind: Kind
    subject: str
    cause: Text
    config: OldConfig | None = None
    names: tuple[str, ...] = ()
    code: int = OK

    @property
    def changes(self) -> bool:
        """Return whether it changes anything."""
        return self.kind not in {"warn", "leave", "refuse"}


def plan_import(facts: ImportFacts, options: ImportOptions) -> list[ImportAction]:
    """Return the actions by instance. Its config comes last, because nothing can start it before."""
    selected = [config for config in facts.configs if not options.ids or config.id in options.ids]
    actions = [action for config in selected for action in _instance_actions(config, facts, options)]
    if options.ids:
        return [*actions, *(_variable_actions(facts, options) if options.env else ())]
    return [*actions, *_variable_actions(facts, options), *_other_actions(facts)]


def exit_code(actions: Iterable[ImportAction]) -> int:
    """Return the exit code of the refusals."""
    return worst_exit_code([action.code for action in actions if action.kind == "refuse"])


def _instance_actions(
    config: OldConfig, facts: ImportFacts, options: ImportOptions
) -> Iterator[ImportAction]:
    if config.place == "same" and config.imported is None and not config.has_database:
        cause = Text(
            "{target} is there already, but was not imported: move it away, and import again, which takes"
            " its database and whether it ran too",
            target=config.target,
        )
        yield ImportAction("refuse", config.id, cause, config, code=FAILED)
        return
    if config.place == "same" or (config.place == "other" and config.is_imported):
        yield from _imported_actions(config, options)
        return
    if config.is_unused_sample and config.id not in options.ids:
        cause = Text(
            "never ran; `manager import {folder} {id}` imports it", folder=facts.folder, id=config.id
        )
        yield ImportAction("leave", config.file, cause, config)
        return
    refusals = list(_refusals(config, facts, options))
    if refusals:
        yield from refusals
        return
    if config.running.pids:
        pids = ", ".join(map(str, config.running.pids))
        yield ImportAction(
            "stop", config.id, Text("running in the old system (processes {pids})", pids=pids), config
        )
    if config.database is None:
        yield ImportAction("leave", config.id, Text("no database yet"), config)
    else:
        cause = Text("{size}, including its -wal", size=file_size(config.database.size))
        yield ImportAction("database", config.id, cause, config)
    yield from _log_actions(config, options)
    yield from _registry_actions(config, facts)
    yield from _ignored_keys(config)
    if config.account_of:
        cause = Text(
            "trades {symbol} with the same credentials as {other}: in live mode neither is started; give one"
            " of them others, or set allow_shared_credentials = true in config/fleet.toml",
            symbol=config.loaded.spec.symbol if config.loaded.spec else "?",
            other=config.account_of,
        )
        yield ImportAction("warn", config.id, cause, config)
    yield ImportAction(
        "config", config.id, Text("{source} → {target}", source=config.file, target=config.target), config
    )


def _imported_actions(config: OldConfig, options: ImportOptions) -> Iterator[ImportAction]:
    """Return the actions for an instance that was imported before."""
    if config.running.pids:
        cause = Text(
            "already imported, but running in the old system again (processes {pids}); stop it there before "
            "you start it here",
            pids=", ".join(map(str, config.running.pids)),
        )
        yield ImportAction("refuse", config.id, cause, config, code=FAILED)
    elif config.imported and config.database and config.imported.taken != config.database.stamps:
        cause = Text(
            "already imported, but its old database has changed since; to import it again, run `manager "
            "down {id}` and move {target} and the new database away first",
            id=config.id,
            target=config.target,
        )
        yield ImportAction("leave", config.id, cause, config)
    elif config.place == "other":
        yield ImportAction(
            "leave",
            config.id,
            Text("already imported; {target} has been changed since", target=config.target),
            config,
        )
    else:
        yield ImportAction("leave", config.id, Text("already imported"), config)
    yield from _log_actions(config, options)


def _refusals(config: OldConfig, facts: ImportFacts, options: ImportOptions) -> Iterator[ImportAction]:
    def refuse(cause: Text, code: int = FAILED) -> ImportAction:
        return ImportAction("refuse", config.id, cause, config, code=code)

    for problem in (*config.loaded.problems, *config.loaded.refusals, *config.conflicts):
        yield refuse(Text("{problem}", problem=problem), BAD_CONFIG)
    if not is_printable(config.target):
        yield refuse(Text("the file name contains unprintable characters; rename it"), BAD_CONFIG)
    if config.place == "other":
        yield refuse(Text("{target} already exists with different content", target=config.target))
    if config.has_database and config.place == "free":
        yield refuse(Text("the fleet already has a database of that name; move it away"))
    if config.database is not None and config.database.fault:
        path = config.database.path
        yield refuse(Text("its database is not a file in the folder: {path}", path=path))
    elif config.database is not None and facts.free is not None and too_large(config.database, facts.free):
        yield refuse(  # before an old bot is stopped
            Text(
                "its database of {size} needs twice as much room while it is copied; {free} are free",
                size=file_size(config.database.size),
                free=file_size(facts.free),
            )
        )
    running = config.running
    stubborn = [pid for pid in running.pids if pid not in running.may_stop]
    pids = ", ".join(map(str, running.pids))
    if running.pids and not options.stop_old:
        yield refuse(
            Text("running in the old system (processes {pids}); stop it there, or use --stop-old", pids=pids)
        )
    elif stubborn and not running.daemons:
        pids = ", ".join(map(str, stubborn))
        cause = Text(
            "running in processes {pids}, which may not belong to the old system; stop them yourself",
            pids=pids,
        )
        yield refuse(cause)
    elif config.database and config.database.open_by and config.database.open_by not in running.pids:
        yield refuse(
            Text(
                "process {pid} has its database open; stop it and check the exchange for open orders",
                pid=config.database.open_by,
            )
        )


def too_large(database: Database, free: int) -> bool:
    """Return whether the copy as it is and the one that SQLite makes of it would fill the disk."""
    return 2 * database.size > free


def _log_actions(config: OldConfig, options: ImportOptions) -> Iterator[ImportAction]:
    if not options.logs:
        return
    if config.days:
        cause = Text(
            "{count} dated folders, starting at {first}", count=len(config.days), first=config.days[0]
        )
        yield ImportAction("logs", config.id, cause, config, config.days)
    if config.old_days:
        cause = Text(
            "{count} dated log folders are older than log_retention_days and would be removed immediately",
            count=config.old_days,
        )
        yield ImportAction("leave", config.id, cause, config)


def _registry_actions(config: OldConfig, facts: ImportFacts) -> Iterator[ImportAction]:
    """Return what only the old system knows: id, port, first registration, and whether it ran."""
    parts = []
    if config.names_id:
        parts.append(Text("id given by --instance-id"))
    if port_to_keep(config, facts) is not None:
        parts.append(Text("port {port}", port=port_to_keep(config, facts)))
    if (when := registered_at(config.record)) is not None:
        parts.append(Text("first registered {when}", when=when))
    if config.was_stopped:
        parts.append(Text("to be started by `manager up`, because it ran until an import stopped it"))
    elif not config.running.pids:
        parts.append(Text("stopped, because it did not run; `manager start {id}` starts it", id=config.id))
    elif facts.fleet_state.of(config.id).wish == "stopped":  # by an import that did not come to its end
        parts.append(Text("to be started by `manager up`, because it ran"))
    if parts:
        yield ImportAction("remember", config.id, Text("{what}", what=_Joined(parts)), config)


class _Joined:
    """Join several texts in one line, translated when it is shown."""

    def __init__(self, parts: list[Text]) -> None:
        self.parts = parts

    def __str__(self) -> str:
        return listed(self.parts)


def port_to_keep(config: OldConfig, facts: ImportFacts) -> int | None:
    """Return the port that the old registry assigned to a config without one, if it is free."""
    port = web_port(config.record)
    if config.loaded.spec is None or config.loaded.spec.web_port is not None:
        return None
    taken = {instance.web_port for instance in facts.fleet_state.instances.values()}
    taken |= {other.loaded.spec.web_port for other in facts.configs if other.loaded.spec}
    return None if port in taken else port


def _ignored_keys(config: OldConfig) -> Iterator[ImportAction]:
    """Report keys that the image determines."""
    daemon = (config.loaded.described or {}).get("daemon_config", {})
    names = [name for name in ("python_path", "script_path", "working_dir") if daemon.get(name)]
    if names:
        cause = Text("{names}: accepted, but determined by the image", names=", ".join(names))
        yield ImportAction("leave", config.id, cause, config)


def _variable_actions(facts: ImportFacts, options: ImportOptions) -> Iterator[ImportAction]:
    old, own, faults = facts.variables
    for number, why in faults:
        cause = Text("line {number}: {why}", number=number, why=why) if number else why
        yield ImportAction("refuse", ".env", cause, code=FAILED)
    if options.env:
        new_names = tuple(sorted(name for name, value in old.items() if value and not own.get(name)))
        if new_names:
            cause = Text("with values (not shown): {names}", names=", ".join(new_names))
            yield ImportAction("values", ".env", cause, names=new_names)
        yield from _steering_values({name: old[name] for name in new_names})
        conflicting = sorted(
            name for name, value in old.items() if value and own.get(name, value) not in {"", value}
        )
        if conflicting:
            cause = Text("already set to other values here: {names}", names=", ".join(conflicting))
            yield ImportAction("leave", ".env", cause)
        return
    new_names = tuple(sorted(set(old) - set(own)))
    if new_names:
        cause = Text(
            "names without values, to be filled in (--env copies the values): {names}",
            names=", ".join(new_names),
        )
        yield ImportAction("names", ".env", cause, names=new_names)


def _steering_values(values: Mapping[str, str]) -> Iterator[ImportAction]:
    """Warn of what decides where bots connect, whom they trust and what they load. No value is shown."""
    steered: dict[str, list[str]] = {}
    for name, value in values.items():
        is_known = any(steering.is_known_address(value, exchange) for exchange in EXCHANGES)
        if not is_known and (what := steering.steered_with(name, value)):
            steered.setdefault(what, []).append(name)
    if steered:
        cause = Text(
            "steers the bots that get it: {names}; look at these values in the old .env before you start one",
            names=listed(
                [
                    Text("{names} ({what})", names=", ".join(names), what=Text(what))
                    for what, names in steered.items()
                ]
            ),
        )
        yield ImportAction("warn", ".env", cause)


def _other_actions(facts: ImportFacts) -> Iterator[ImportAction]:
    if not facts.is_registry_readable:
        yield ImportAction(
            "leave",
            "logs/instances.json",
            Text("cannot be parsed; ports and registration times are not imported"),
        )
    for name, files in facts.not_active.items():
        cause = Text("not run by the old system, and not imported: {files}", files=", ".join(files))
        yield ImportAction("leave", f"config/{name}", cause)
    for name in facts.ignored:
        cause = Text("not imported: rename it to {name} if it is a config", name=config_name(name))
        yield ImportAction("leave", f"config/active/{name}", cause)
    for path in facts.orphan_databases:
        yield ImportAction("leave", path, Text("not used by any config"))
    if facts.has_bot:
        cause = Text("to use this bot's code, build an image with `manager build --bot DIR`")
        yield ImportAction("leave", "run.py", cause)
