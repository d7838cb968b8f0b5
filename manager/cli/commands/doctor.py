"""Run `doctor`: check machine, engine and project, and suggest remedies."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from manager import __version__
from manager.cli.notices import one_output
from manager.config.variables import is_secret
from manager.errors import FAILED, NO_ENGINE, OK, ConfigError, EngineError, ManagerError, writing_to
from manager.fleet import observe
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.monitor.doctor import (
    checks_engine,
    checks_host,
    checks_live,
    checks_project,
    probe_engine,
    probe_host,
    probe_project,
    redact,
    remedies,
)
from manager.monitor.doctor.facts import ClientFacts, Facts
from manager.monitor.doctor.findings import Finding, Level, fail
from manager.ops.exchange import live_checks
from manager.ops.exchange.live_checks import LiveCheck
from manager.ops.planning import updated_limits
from manager.util import atomic_file, console, formatting
from manager.util.text_table import Column

HEADS = {
    mark("engine"): checks_engine.check_all,
    mark("machine"): checks_host.check_all,
    mark("project"): checks_project.check_all,
}
LIVE = mark("live instances")
MACHINES = mark("other machines")
LEVELS: Mapping[Level, str] = {"ok": mark("ok"), "warn": mark("warn"), "fail": mark("fail")}
COLOURS: dict[Level, str] = {"ok": "32", "warn": "33", "fail": "31"}
MOST_SHOWN = 10
"""Lines shown per check; --json has all."""
REPORT_MODE = 0o600


def doctor(session: Session, args: Namespace) -> int:
    """Probe, check, print. Returns 0 if nothing fails, 5 if no engine answers, else 1."""
    one_output(args)
    facts, project, snapshot = _look(session)
    by_topic = {head: list(check(facts)) for head, check in HEADS.items()}
    if snapshot is not None and (findings := _other_machines(snapshot)):
        by_topic[MACHINES] = findings
    if args.live and snapshot is not None:
        by_topic[LIVE] = list(checks_live.check_all(_live_checks(session, snapshot)))
    lines = [line for findings in by_topic.values() for line in findings]
    if args.json:
        console.say_json([_line_object(line) for line in lines])
    elif args.format:
        console.say(_table(by_topic, args.format))
    else:
        console.say("\n".join(_shown(by_topic, has_colour=console.has_colour())))
    if args.report:
        _write_report(Path(args.report), facts, by_topic, project, snapshot)
        console.warn(Text("{path}: written; review it before sharing", path=args.report))
    if facts.engine is None:
        return NO_ENGINE
    return FAILED if any(line.level == "fail" for line in lines) else OK


def _look(session: Session) -> tuple[Facts, Project | None, FleetSnapshot | None]:
    programs = probe_engine.ClientPrograms()
    facts = Facts(client=ClientFacts(), host=probe_host.probe())
    project = snapshot = None
    try:
        project = session.project()
    except ConfigError as error:
        facts = facts._replace(project_fault=str(error))
    try:
        engine = session.engine()
        facts = facts._replace(engine=probe_engine.probe(engine))
        snapshot = observe.look(project, engine) if project else None
    except EngineError as error:
        remedy = remedies.no_engine(os.environ)
        facts = facts._replace(engine=None, engine_fault=str(error), engine_remedy=remedy)
    if project is not None:
        disks = [probe_host.disk(path) for path in sorted(probe_project.database_folders(project))]
        facts = facts._replace(
            files=probe_project.probe_files(project, snapshot),
            data_disk=probe_host.disk(project.fleet.data_dir),
            database_disks=tuple(disk for disk in disks if disk),
        )
    if snapshot is not None:
        facts = facts._replace(
            fleet=probe_project.probe_fleet(
                snapshot,
                updated_limits.seen(session, snapshot, "up", None),
                session.engine(),
                facts.engine.unkept if facts.engine else (),
            )
        )
    if facts.engine is not None and facts.engine.root_dir and not facts.engine.is_rootless:
        facts = facts._replace(engine_disk=probe_host.disk(Path(facts.engine.root_dir)))
    return facts._replace(client=programs.client()), project, snapshot


def _live_checks(session: Session, snapshot: FleetSnapshot) -> list[LiveCheck]:
    """Ask the exchanges for every live instance. What keeps all from being asked is said of each."""
    live = [instance for instance, spec in snapshot.project.specs.items() if spec.mode == "live"]
    try:
        return live_checks.check(snapshot, session.engine(), live)
    except ManagerError as error:
        why = Text("{why}", why=error)
        return [LiveCheck(instance, why=why, says_what_to_do=True) for instance in sorted(live)]


def _other_machines(snapshot: FleetSnapshot) -> list[Finding]:
    from manager.monitor.doctor import checks_machines
    from manager.ops.hosts import account_looks, generations, registry
    from manager.ops.move import interrupted

    fleet, live = snapshot.project.fleet, snapshot.trading(())
    if not fleet.hosts_file.exists():
        return list(checks_machines.of_moves(interrupted.find(fleet, snapshot.views)))
    try:
        hosts = list(registry.load(fleet.project_dir).values())
        gone = generations.gone(fleet, snapshot.views.values())
        answers = account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
        twins = account_looks.twins(fleet, [container.instance for container in live], answers)
        shared = account_looks.shared(fleet, live, answers, twins)
    except ManagerError as error:
        return [fail("host", Text("{why}", why=error), Text("mend the file"))]
    findings = checks_machines.check_all(answers, twins, shared, account_looks.lost(gone, answers))
    return [*findings, *checks_machines.of_moves(interrupted.find(fleet, snapshot.views, answers))]


def _shown(by_topic: dict[str, list[Finding]], *, has_colour: bool) -> list[str]:
    """Return the lines under their headings, long runs of one kind shortened, and the summary."""
    shown = []
    for head, lines in by_topic.items():
        shown.append(_(head))
        for _check, same in groupby(lines, key=lambda line: line.check):
            alike = list(same)
            for line in alike[:MOST_SHOWN]:
                shown += _line_text(line, has_colour)
            if len(alike) > MOST_SHOWN:
                rest = Text("and {count} more like these; --json shows all", count=len(alike) - MOST_SHOWN)
                shown.append(f"        {rest}")
    count = Counter(line.level for lines in by_topic.values() for line in lines)
    summary = Text(
        "{count} ok, {warnings}, {failures}",
        count=count["ok"],
        warnings=Text("{count} warnings", count=count["warn"]),
        failures=Text("{count} failures", count=count["fail"]),
    )
    return [*shown, str(summary)]


def _table(by_topic: dict[str, list[Finding]], style: str) -> str:
    rows = [(head, line) for head, lines in by_topic.items() for line in lines]
    return console.table(TABLE_COLUMNS, rows, style)


TABLE_COLUMNS: Sequence[Column[tuple[str, Finding]]] = (
    Column("about", mark("ABOUT"), lambda row: _(row[0])),
    Column("level", mark("LEVEL"), lambda row: _(LEVELS[row[1].level])),
    Column("check", mark("CHECK"), lambda row: row[1].check),
    Column("finding", mark("FINDING"), lambda row: str(row[1].text)),
    Column("remedy", mark("REMEDY"), lambda row: "" if row[1].remedy is None else str(row[1].remedy)),
)


def _line_text(line: Finding, has_colour: bool) -> Sequence[str]:
    word = f"{_(LEVELS[line.level]):<4}"
    if has_colour:
        word = f"\x1b[{COLOURS[line.level]}m{word}\x1b[0m"
    text = [f"  {word}  {line.text}"]
    if line.remedy is not None:
        text.append(f"        → {line.remedy}")
    return text


def _line_object(line: Finding) -> dict[str, str | None]:
    remedy = None if line.remedy is None else str(line.remedy)
    return {"level": line.level, "check": line.check, "text": str(line.text), "remedy": remedy}


def _write_report(
    path: Path,
    facts: Facts,
    by_topic: dict[str, list[Finding]],
    project: Project | None,
    snapshot: FleetSnapshot | None,
) -> None:
    parts = [
        f"botfleet {__version__}, {formatting.iso_with_offset(time.time())}",
        f"{platform.system()} {platform.release()} {platform.machine()}, Python {facts.client.python}",
        "",
        *_shown(by_topic, has_colour=False),
    ]
    if snapshot is not None:
        parts += ["", _("instances"), *(f"  {line}" for line in probe_project.describe_instances(snapshot))]
    home = os.environ.get("HOME", "")
    places = {home: "~"} | ({str(project.fleet.project_dir): "PROJECT"} if project else {})
    names = {"HOST": {socket.gethostname(), socket.getfqdn()}, "USER": _users() - {"root"}}
    text = redact.redact("\n".join(parts) + "\n", _secrets(project), places, names)
    with writing_to(path):
        atomic_file.replace_bytes(path, text.encode(), REPORT_MODE)


def _secrets(project: Project | None) -> set[str]:
    """Return the values of all variables that are credentials by name, or that a config references."""
    variables = {**os.environ, **(project.variables if project else {})}
    asked = (
        {variable.name for spec in project.specs.values() for variable in spec.variables}
        if project
        else set()
    )
    return {value for name, value in variables.items() if is_secret(name) or name in asked}


def _users() -> set[str]:
    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER")}
    with suppress(KeyError, OSError):
        names.add(getpass.getuser())
    return names - {""}
