"""Run `--swarm compose`, `up`, `down`, `halt`, `ps`, `doctor`: instances as services of a Docker Swarm."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from manager.cli.notices import one_output
from manager.engine.swarm_calls import SwarmCalls
from manager.errors import (
    BAD_CONFIG,
    FAILED,
    OK,
    TIMED_OUT,
    ConfigError,
    EngineError,
    UsageError,
    worst_exit_code,
)
from manager.fleet.session import Session
from manager.i18n import Text, _, labelled, mark
from manager.ops.hosts import registry
from manager.ops.swarm import changes, checks, last_seen, privileges, refusals, stack
from manager.ops.swarm.changes import HOW, Stopped
from manager.ops.swarm.checks import LEVELS, Finding
from manager.ops.swarm.last_seen import SeenService
from manager.ops.swarm.state import STATES, Service
from manager.util import console, formatting, prompt
from manager.util.text_table import Column

COLUMNS = (
    Column[Service]("id", mark("ID"), lambda row: row.instance),
    Column[Service]("node", mark("NODE"), lambda row: row.machine),
    Column[Service]("mode", mark("MODE"), lambda row: row.mode),
    Column[Service]("state", mark("STATE"), lambda row: _(STATES[row.state])),
    Column[Service]("note", mark("NOTE"), lambda row: str(row.note or "")),
)


@contextmanager
def connected() -> Iterator[SwarmCalls]:
    """Yield the connection to the Swarm, and close it."""
    calls = SwarmCalls()
    try:
        yield calls
    finally:
        calls.close()


def fleet_name(session: Session, calls: SwarmCalls) -> str:
    """Return the fleet's name. If its settings are invalid, that of the Swarm's only fleet.

    A typo must not prevent a halt.
    """
    try:
        return session.project().fleet.name
    except ConfigError:
        fleets = calls.fleets()
        if len(fleets) != 1:
            raise
        return fleets[0]


def looked(session: Session, calls: SwarmCalls, fleet: str) -> list[Service]:
    """Return the fleet's instances as the Swarm knows them, and remember them. Raises EngineError."""
    services = changes.look(calls, fleet)
    with suppress(ConfigError):
        last_seen.save(session.project().fleet, services)
    return services


def _unreachable(service: SeenService, error: EngineError) -> dict[str, object]:
    return {
        "id": service.instance,
        "node": service.machine,
        "how": "unreachable",
        "open_orders": None,
        "error": str(error),
    }


@contextmanager
def naming_what_goes_on(session: Session, args: Namespace) -> Iterator[None]:
    """Name the bots that may go on, also on other nodes, if this machine's engine or the Swarm is gone."""
    try:
        yield
    except EngineError as error:
        seen = None
        with suppress(ConfigError):
            seen = last_seen.known(session.project())
        chosen = [
            service
            for service in (seen.services if seen is not None else ())
            if service.may_run and (not args.ids or service.instance in args.ids)
        ]
        if args.json:
            console.say_json([_unreachable(service, error) for service in chosen])
        names = ", ".join(f"{service.instance} ({service.machine})" for service in chosen)
        if not chosen:
            text = Text(
                "nothing was stopped from here, and bots on other nodes may go on; which, is not known"
            )
        elif seen is None or seen.at is None:
            text = Text(
                "nothing was stopped from here, and bots may go on, also on other nodes; by their configs"
                " these may run: {names}",
                names=names,
            )
        else:
            text = Text(
                "nothing was stopped from here, and bots may go on, also on other nodes; by what the Swarm"
                " reported {age} ago, these may run: {names}",
                age=formatting.elapsed(abs(time.time() - seen.at)),
                names=names,
            )
        console.error(text)
        console.error(
            _(
                "another of the Swarm's managers halts them: `manager --swarm halt` there. On a bot's own"
                " node, `manager halt ID` leaves a mark that its supervisor heeds, and `docker stop` ends it"
            )
        )
        raise


def compose(session: Session, args: Namespace) -> int:
    """Make the folders on every node, and render the stack file."""
    project = session.project()
    choice = stack.choose(project)
    rendered = stack.render(session, project, choice)
    _require_stay(project.fleet.name, rendered)
    for text in rendered.warnings:
        console.warning(text)
    if args.stdout:
        console.say(rendered.text, end="")
        return _after_problems(choice)
    stack.write(project.fleet, rendered)
    file = project.fleet.relative(rendered.path)
    console.say(Text("{file}: written; `manager --swarm up` deploys it", file=file))
    return _after_problems(choice)


def _require_stay(fleet: str, rendered: stack.Rendered) -> None:
    """Raise ManagerError if a service would get another node, as far as this machine's Swarm tells."""
    with connected() as calls:
        try:
            services = changes.look(calls, fleet)
        except EngineError as error:
            console.warning(
                Text("it is not known whether a service would get another node by it: {why}", why=error)
            )
            return
    refusals.require_stay(services, rendered.places)


def _after_problems(choice: stack.Choice) -> int:
    """Print why instances were left out. What the Swarm has of them goes on."""
    for problem in choice.problems:
        console.error(problem)
    return BAD_CONFIG if choice.problems else OK


def ps(session: Session, args: Namespace) -> int:
    """Show what the Swarm knows of each instance. Ends with 1 if it cannot know it of one."""
    one_output(args)
    with connected() as calls:
        services = looked(session, calls, session.project().fleet.name)
    if args.json:
        console.say_json([_object(service) for service in services])
    elif not services:
        console.say(_("the Swarm has no services of this fleet; `manager --swarm up` deploys them"))
    else:
        console.say(console.table(COLUMNS, services, args.format))
    is_known = all(service.answers and not service.is_published for service in services)
    return OK if is_known else FAILED


FINDINGS = (
    Column[Finding]("level", mark("RESULT"), lambda row: _(LEVELS[row.level])),
    Column[Finding]("text", mark("WHAT"), lambda row: str(row.text)),
)


def doctor(session: Session, args: Namespace) -> int:
    """Check the Swarm and the fleet's services."""
    one_output(args)
    with connected() as calls:
        project_fleet = session.project().fleet
        fleet, hosts = project_fleet.name, registry.readable(project_fleet.project_dir)[0]
        services, nodes = calls.services(fleet), calls.nodes()
        findings = checks.findings(fleet, services, nodes, calls.settings())
    told = privileges.ask(project_fleet, list(hosts.values()))
    findings += checks.of_privileges(services, nodes, told)
    if args.json:
        console.say_json([{"level": row.level, "text": str(row.text)} for row in findings])
    else:
        console.say(console.table(FINDINGS, findings, args.format))
    return FAILED if any(row.level == "failed" for row in findings) else OK


def halt(session: Session, args: Namespace) -> int:
    """Stop services at once, and keep them stopped. Ends with 1 where a bot may run on."""
    with naming_what_goes_on(session, args), connected() as calls:
        fleet = fleet_name(session, calls)
        chosen = changes.chosen(looked(session, calls, fleet), args.ids)
        if not args.json:
            console.say(Text("halting: {ids}", ids=", ".join(service.instance for service in chosen) or "-"))
        results = changes.halt(calls, fleet, chosen)
    return _print_results(results, as_json=args.json, is_halt=True)


def down(session: Session, args: Namespace) -> int:
    """Stop and remove services, with their secrets. Folders stay on their nodes."""
    with naming_what_goes_on(session, args), connected() as calls:
        fleet = fleet_name(session, calls)
        chosen = changes.chosen(looked(session, calls, fleet), args.ids)
        live = [service.instance for service in chosen if service.mode == "live" and service.may_run]
        question = Text("this stops {count} live bots: {ids}", count=len(live), ids=", ".join(live))
        is_asked = live and not (args.yes or args.ids or args.json)
        if is_asked and prompt.is_possible() and not prompt.confirm(question):
            return FAILED
        results = changes.stop(calls, fleet, chosen)
        changes.remove(calls, fleet, results)
    return _print_results(results, as_json=args.json, is_halt=False)


def up(session: Session, args: Namespace) -> int:
    """Render and deploy the stack. What was halted starts only if it is named."""
    project = session.project()
    fleet = project.fleet
    choice = stack.choose(project)
    if missing := [instance for instance in args.ids if instance not in choice.ids]:
        _after_problems(choice)
        raise UsageError("there is no valid config of {ids}", ids=", ".join(missing))
    rendered = stack.render(session, project, choice, args.ids)
    for text in rendered.warnings:
        console.warning(text)
    with connected() as calls:
        # before anything is written: an engine in no Swarm, too
        refusals.require_stay(changes.look(calls, fleet.name), rendered.places)
        changes.carry_halts(
            calls, fleet.name, {instance: node for instance, (node, _machine) in rendered.places.items()}
        )
        try:
            stack.write(fleet, rendered)
            changes.deploy(calls, fleet.name, rendered.path)
        finally:  # also after a failure: what is to be tried again is rendered again
            stack.forget_values(fleet)
        everything = looked(session, calls, fleet.name)
        wanted = [service for service in everything if service.instance in (args.ids or choice.ids)]
        halted = [
            service.instance for service in wanted if service.is_halted and service.instance not in args.ids
        ]
        starting = [service for service in wanted if service.instance not in halted]
        services = changes.start(calls, fleet.name, starting, args.wait_timeout)
        for service in wanted:  # former values of credentials: one that is in use stays
            calls.remove_secrets(fleet.name, service.instance)
    if args.json:
        console.say_json([_object(service) for service in services])
    elif services:
        console.say(console.table(COLUMNS, services))
    if halted:
        console.warning(
            Text(
                "left alone, because they were halted: {ids}; `manager --swarm up ID` starts one",
                ids=", ".join(halted),
            )
        )
    known = {*project.specs, *project.loaded.elsewhere}
    if not project.loaded.broken_files and (orphans := changes.left_behind(everything, known)) is not None:
        console.warning(orphans)
    is_up = all(service.state == "running" for service in services)
    return worst_exit_code([_after_problems(choice), OK if is_up else FAILED])


RESULTS = (
    Column[Stopped]("id", mark("ID"), lambda row: row.service.instance),
    Column[Stopped]("node", mark("NODE"), lambda row: row.service.machine),
    Column[Stopped]("how", mark("BOT"), lambda row: _(HOW[row.how])),
)


def _print_results(results: Sequence[Stopped], *, as_json: bool, is_halt: bool) -> int:
    """Print what became of each instance, loudest of what cannot be known. Returns the exit code."""
    if as_json:
        console.say_json(
            [
                {
                    "id": result.service.instance,
                    "node": result.service.machine,
                    "how": result.how,
                    "open_orders": None if result.has_unknown_orders else 0,
                    "error": str(result.error) if result.error else None,
                }
                for result in results
            ]
        )
    else:
        console.say(console.table(RESULTS, results))
    codes = [OK]
    for result in results:
        codes.append(_code(result))
        if result.error is not None:
            console.error(labelled(result.service.instance, result.error))
        if not result.is_down:
            console.error(
                Text(
                    "{id}: node {node} does not answer; its bot may run and trade. Once the node answers, the"
                    " Swarm stops it; until then only the node itself can",
                    id=result.service.instance,
                    node=result.service.machine,
                )
                if result.how == "unreachable"
                else Text(
                    "{id}: its bot still runs on node {node}",
                    id=result.service.instance,
                    node=result.service.machine,
                )
            )
    live = [result.service.instance for result in results if result.is_down and result.has_unknown_orders]
    if live and is_halt:
        codes.append(FAILED)
        console.error(
            Text(
                "orders at the exchange: not known from here: {ids}. `manager halt ID` on an instance's node"
                " asks the exchange",
                ids=", ".join(live),
            )
        )
    return worst_exit_code(codes)


def _code(stopped: Stopped) -> int:
    if not stopped.is_down or isinstance(stopped.error, EngineError):
        return FAILED
    return TIMED_OUT if stopped.how == "killed" else OK


def _object(service: Service) -> dict[str, object]:
    newest = service.newest
    return {
        "id": service.instance,
        "node": service.machine,
        "state": service.state,
        "mode": service.mode,
        "halted": service.is_halted,
        "wanted": service.replicas,
        "node_answers": service.answers,
        "may_run": service.may_run,
        "since": newest.at if newest is not None else None,
        "note": str(service.note) if service.note is not None else None,
    }
