"""What commands say besides what they show or do: other folders' containers, strays, configs that cannot be used."""

from __future__ import annotations

from argparse import Namespace

from manager.engine.containers import Container
from manager.errors import BAD_CONFIG, OK, UsageError
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.i18n import Text
from manager.util import console


def one_output(args: Namespace) -> None:
    """Raise UsageError where a table and JSON are both asked for."""
    if args.json and args.format:
        raise UsageError("--format cannot be used with --json, which prints no table")


def say_problems(project: Project) -> None:
    """Say what cannot be used, each problem on its line of standard error."""
    for problem in project.problems:
        console.error(problem)


def say_foreign(snapshot: FleetSnapshot) -> bool:
    """Say it when containers of this fleet's name are another folder's; return whether all are ours."""
    problems = snapshot.foreign()
    for problem in problems:
        console.error(problem)
    return not problems


def say_strays(snapshot: FleetSnapshot) -> None:
    """Say which containers bear our labels and must not be there."""
    for container in snapshot.observed.strays:
        console.warning(stray_text(container))


def stray_text(stray: Container) -> Text:
    """Return what to say of a container that bears an instance's labels and is not its container."""
    return Text(
        "{name} ({status}) has the labels of {id} but is not its container; `docker rm -f {name}` removes it",
        name=stray.name,
        status=stray.status,
        id=stray.instance,
    )


def after_showing(snapshot: FleetSnapshot) -> int:
    """Say which configs cannot be used. Returns the exit code."""
    say_problems(snapshot.project)
    return BAD_CONFIG if snapshot.project.problems else OK
