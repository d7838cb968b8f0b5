"""Run `new`: create a config from a template, validated by the loader before it is written."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manager.cli.notices import one_output
from manager.config import bot_environment, templates
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.templates import Config, NewConfig
from manager.errors import OK, ConfigError, EngineUnreachable, Problem, UsageError, writing_to
from manager.fleet import host, lock, state_file
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.typed import NamedTuple
from manager.util import atomic_file, console, formatting, prompt, strict_json
from manager.util.text_table import Column


def _template_column(name: str, heading: str) -> Column[dict[str, Any]]:
    return Column(name, heading, lambda row: str(row[name] or ""))


TEMPLATE_COLUMNS = (
    _template_column("template", mark("TEMPLATE")),
    _template_column("exchange", mark("EXCHANGE")),
    _template_column("symbol", mark("SYMBOL")),
    _template_column("strategy", mark("STRATEGY")),
    _template_column("description", mark("DESCRIPTION")),
)


class Draft(NamedTuple):
    """Hold a config that is ready to be written."""

    config: Config
    spec: InstanceSpec
    warnings: tuple[Problem, ...]


def new(session: Session, args: Namespace) -> int:
    """Create a config from a template."""
    folder = session.project_dir() / "config" / "templates"
    one_output(args)
    if args.list:
        return _list(folder, args)
    name = args.template or _asked(
        "--template", Text("template ({known})", known=", ".join(path.stem for path in _files(folder)))
    )
    template, source = _read(folder, name)
    instance = args.id or _asked("--id", _("id of the new instance"))
    symbol = args.symbol or _asked("--symbol", _("symbol"))
    settings = _settings(args, template, symbol)
    wanted = NewConfig(instance, symbol, 0, args.exchange, settings)
    if args.dry_run:
        return _say(args, session.project(), template, source, _made(session, args.port, template, wanted))
    fleet = session.project().fleet
    with lock.held(fleet.lock_file, "new", args.lock_wait, on_wait=console.warning):
        made = _made(session, args.port, template, wanted)
        project = session.project()
        _write(project, made)
    return _say(args, project, template, source, made)


def _asked(flag: str, question: object) -> str:
    """Return a missing argument: prompt for it on a terminal, raise UsageError in a script."""
    answer = prompt.ask(question) if prompt.is_possible() else ""
    if not answer:
        raise UsageError("{option} is missing; `manager new --help` shows examples", option=flag)
    return answer


# The template


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _read(folder: Path, name: str) -> tuple[Config, str]:
    """Return the template and its path as shown. Raises UsageError, ConfigError."""
    path = folder / f"{name.removesuffix('.json')}.json"
    if "/" in name or not path.exists():
        path = Path(name)
    if not path.exists():
        known = ", ".join(template.stem for template in _files(folder)) or _("none")
        raise UsageError(
            "there is no template {name} in {folder}, and no such file; available: {known}",
            name=name,
            folder=folder,
            known=known,
        )
    return _parsed(path), str(path)


def _parsed(path: Path) -> Config:
    try:
        config = strict_json.read(path)
    except strict_json.JsonFault as fault:
        raise ConfigError([Problem(str(path), fault.path, fault.text)]) from fault
    if not isinstance(config, dict) or not isinstance(config.get("metadata"), dict):
        raise ConfigError(
            [Problem.at(str(path), "metadata", "is missing: only a sectioned config is a template")]
        )
    return config


def _list(folder: Path, args: Namespace) -> int:
    """Print one line per template; an invalid one is reported and hides no other."""
    rows: list[dict[str, Any]] = []
    faults: list[ConfigError] = []
    for path in _files(folder):
        try:
            metadata = _parsed(path)["metadata"]
        except ConfigError as error:
            faults.append(error)
            continue
        words = ("exchange", "symbol", "market_type", "strategy", "description")
        rows.append({"template": path.stem, **{word: metadata.get(word) for word in words}})
    if args.json:
        console.say_json(rows)
    else:
        console.say(console.table(TEMPLATE_COLUMNS, rows, args.format))
    for fault in faults:
        console.error(fault)
    return faults[0].exit_code if faults else OK


# The config


def _settings(args: Namespace, template: Config, symbol: str) -> dict[str, Any]:
    """Return every setting by its path; prices and quantities of another market are prompted for, or
    refused.
    """
    settings = dict(templates.parse_setting(word) for word in args.set)
    given = {
        "--lower": args.lower,
        "--upper": args.upper,
        "--quantity": args.quantity,
        "--max-position": args.max_position,
    }
    for flag, value in given.items():
        if value is not None:
            settings[templates.key_in_use(template, templates.OPTIONS[flag])] = value
    foreign = templates.foreign_values(template, symbol, settings)
    for path in foreign if prompt.is_possible() else ():
        question = Text(
            "{key} for {symbol} (the template: {value} for {other})",
            key=path.rpartition(".")[2],
            symbol=symbol,
            value=templates.get_value(template, path),
            other=template["metadata"].get("symbol"),
        )
        if answer := prompt.ask(question):
            settings |= [templates.parse_setting(f"{path}={answer}")]
    if left := templates.foreign_values(template, symbol, settings):
        raise UsageError(
            "the template's prices and quantities are for {other}, not for {symbol}; specify {options}",
            other=template["metadata"].get("symbol"),
            symbol=symbol,
            options=" ".join(map(templates.option_of, left)),
        )
    return settings


def _made(session: Session, port: int | None, template: Config, wanted: NewConfig) -> Draft:
    """Return the config as loaded. Raises ConfigError with all its faults, and UsageError."""
    from manager.config import fleet_settings, loader  # pydantic, 0.1 s

    project, containers = session.project(), _container_ports(session)
    fleet, (_settings, defaults) = project.fleet, fleet_settings.load(project.fleet.project_dir)
    path = fleet.config_dir / f"{wanted.id}.json"
    file = fleet.relative(path)
    if faults := list(loader.id_faults(file, wanted.id)):
        raise ConfigError(faults)
    _require_free_name(path, file, wanted.id, project, containers)
    wanted = wanted._replace(port=_port(port, wanted.id, project, containers))
    now = formatting.iso(time.time())
    config = templates.fill(template, wanted, now, is_bundled_bot=fleet.is_bundled_bot)
    if not (fleet.project_dir / "config" / "schema.json").exists():
        config.pop("$schema", None)
    loaded = loader.load_value(config, file, fleet, defaults, project.variables, {})
    specs = [*project.loaded.specs, loaded.spec] if loaded.spec else []
    mistyped = [problem for problem in loaded.warnings if problem.path in wanted.settings]
    problems = [
        *loaded.problems,
        *loaded.refusals,
        *mistyped,
        *(problem for problem in loader.conflicts(specs) if problem.concerns({file})),
    ]
    if problems or loaded.spec is None:
        raise ConfigError(problems)
    later = [
        problem
        for problem in bot_environment.credential_problems(specs, fleet, project.variables)
        if problem.concerns({file})
    ]
    return Draft(config, loaded.spec, (*loaded.warnings, *later))


def _container_ports(session: Session) -> dict[str, int | None]:
    """Return instance → web port of each container of the fleet; nothing if no engine answers."""
    try:
        containers = session.observe().observed.containers
    except EngineUnreachable:
        console.warn(_("note: no engine answers: ports of stopped containers are not known"))
        return {}
    return {instance: container.web_port for instance, container in containers.items()}


def _require_free_name(
    path: Path, file: str, instance: str, project: Project, containers: dict[str, int | None]
) -> None:
    if os.path.lexists(path):
        raise UsageError("{file} already exists and is not overwritten; choose another --id", file=file)
    for present in containers:
        if present.lower() == instance.lower() and present not in project.specs:
            raise UsageError(
                "{id} has a container; run `manager down {id}` first, or choose another --id", id=present
            )
    for other, claimed in _broken_claims(project):
        if str(claimed.get("instance_id")).lower() == instance.lower():
            raise UsageError("{id} is already the instance of {file}", id=instance, file=other)


def _broken_claims(project: Project) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, its metadata and daemon_config combined) of each invalid config, which may be valid
    later.
    """
    from manager.config.flat_format import convert_legacy, is_legacy

    for file in sorted(project.loaded.broken_files):
        try:
            raw = strict_json.read(project.fleet.project_dir / file)
        except strict_json.JsonFault:
            continue
        if isinstance(raw, dict):
            sections = convert_legacy(raw) if is_legacy(raw) else raw
            parts = [sections.get(name) for name in ("metadata", "daemon_config")]
            yield (
                file,
                {key: value for part in parts if isinstance(part, dict) for key, value in part.items()},
            )


def _port(asked: int | None, instance: str, project: Project, containers: dict[str, int | None]) -> int:
    """Return the requested port, else the lowest that is unused and not reserved for another instance."""
    fleet, fleet_state = project.fleet, project.fleet_state

    def is_free(port: int) -> bool:
        return host.is_port_free(fleet.bind_address, port)

    if asked is not None:
        holder = next((name for name, port in containers.items() if port == asked and name != instance), None)
        if holder is not None:
            raise UsageError(
                "port {port} is used by {other}; omit --port to get a free one", port=asked, other=holder
            )
        if any(spec.web_port == asked for spec in project.specs.values()):
            return asked  # the check of the configs names the other file, whether or not its bot runs
        if 0 < asked <= state_file.LAST_PORT and not is_free(asked):
            raise UsageError(
                "port {port} is in use by another program; omit --port to get a free one", port=asked
            )
        return asked
    others = [state.web_port for name, state in fleet_state.instances.items() if name != instance]
    configured = [spec.web_port for spec in project.specs.values()]
    broken = [claimed.get("web_port") for _file, claimed in _broken_claims(project)]
    taken = {port for port in (*others, *configured, *broken, *containers.values()) if isinstance(port, int)}
    known = fleet_state.of(instance).web_port
    return state_file.assign_ports([instance], {} if known is None else {instance: known}, taken, is_free)[
        instance
    ]


# What is done, and said


def _write(project: Project, made: Draft) -> None:
    fleet, spec = project.fleet, made.spec
    path = fleet.project_dir / spec.config_file
    with writing_to(path):
        if (
            project.fleet_state.ids.get(spec.config_file, spec.id) != spec.id
        ):  # of an earlier file of this name
            state_file.update(fleet, lambda state: state.with_id(spec.config_file, spec.id))
        atomic_file.create(path, atomic_file.encode_json(made.config))


def _say(args: Namespace, project: Project, template: Config, source: str, made: Draft) -> int:
    spec = made.spec
    for warning in made.warnings:
        console.warning(warning)
    if args.json:
        console.say_json(
            {
                "id": spec.id,
                "file": spec.config_file,
                "template": source,
                "web_port": spec.web_port,
                "mode": spec.mode,
                "written": not args.dry_run,
                "config": made.config,
            }
        )
        return OK
    if args.dry_run:
        console.say_json(made.config)
        console.warn(Text("{file}: would be written", file=spec.config_file))
    else:
        console.say(Text("{file}: written", file=spec.config_file))
    say = console.warn if args.dry_run else console.say
    for text in _about(args, project.fleet, template, made):
        say(text)
    return OK


def _about(args: Namespace, fleet: Fleet, template: Config, made: Draft) -> Iterator[Text]:
    """Yield what the instance will be, and what to look at before it is started."""
    spec = made.spec
    yield Text(
        "{id}: {mode}, {exchange} {symbol}, {strategy}, web port {port}",
        id=spec.id,
        mode=Text(spec.mode),
        exchange=spec.exchange,
        symbol=spec.symbol,
        strategy=spec.strategy,
        port=spec.web_port,
    )
    unchanged = [
        f"{path.rpartition('.')[2]} {value}"
        for path in templates.unchanged_values(template, ())
        if (value := templates.get_value(made.config, path))
        == templates.get_value(template, path)
        is not None
    ]
    if unchanged:
        yield Text(
            "taken from the template, compare them with the current price: {values}",
            values=", ".join(unchanged),
        )
    if args.exchange and made.config.get("exchange_config") == template.get("exchange_config") != {}:
        yield Text(
            "exchange_config is the template's: make sure that it contains what {exchange} needs",
            exchange=spec.exchange,
        )
    if fleet.database_dir(spec.id).exists():
        yield Text(
            "{path} exists from an earlier {id}, and will be used",
            path=fleet.relative(fleet.database_dir(spec.id)),
            id=spec.id,
        )
    if not args.dry_run:
        yield Text(
            "next: check it (`manager config {id}`), edit it, then run `manager up {id} --wait`", id=spec.id
        )
