"""Print warnings that several commands share: foreign containers, unexpected ones, invalid configs."""

from __future__ import annotations

from collections.abc import Sequence

from manager.engine.containers import Container
from manager.errors import BAD_CONFIG, OK, UsageError
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.selection import Selection
from manager.i18n import Text
from manager.typed import TYPE_CHECKING
from manager.util import console

if TYPE_CHECKING:
    from argparse import Namespace


def one_output(args: Namespace) -> None:
    """Raise UsageError if both a table format and JSON are requested."""
    if args.json and args.format:
        raise UsageError("--format cannot be used with --json, which prints no table")


def say_problems(project: Project, named: Sequence[str] | None = None) -> None:
    """Print on standard error the problems that concern these instances; all for the whole fleet, None."""
    for problem in project.problems_of(named):
        console.error(problem)


def say_foreign(snapshot: FleetSnapshot) -> bool:
    """Print which containers with this fleet's name belong to another folder; return whether all are ours."""
    problems = snapshot.foreign()
    for problem in problems:
        console.error(problem)
    return not problems


def say_strays(snapshot: FleetSnapshot, selection: Selection) -> None:
    """Print which containers have our labels but should not exist, of what was asked about."""
    for text in stray_texts(snapshot, selection.named(snapshot.project)):
        console.warning(text)


def stray_texts(snapshot: FleetSnapshot, named: Sequence[str] | None) -> list[Text]:
    """Return the warnings for the containers that have these instances' labels (None: any) and should not
    exist.
    """
    strays = snapshot.observed.strays
    return [stray_text(stray) for stray in strays if named is None or stray.instance in named]


def say_interrupted_moves(snapshot: FleetSnapshot, selection: Selection) -> None:
    """Print which moves between machines were interrupted, so that their bots run nowhere, of what was asked
    about.
    """
    for text in interrupted_moves(snapshot, selection.named(snapshot.project)):
        console.error(text)


def interrupted_moves(snapshot: FleetSnapshot, named: Sequence[str] | None) -> list[Text]:
    """Return them, of these instances (None: any); nothing is loaded where nothing was ever moved."""
    fleet = snapshot.project.fleet
    if not fleet.moves_dir.is_dir():
        return []
    from manager.ops.move import interrupted

    moves = interrupted.find(fleet, snapshot.views)
    return [move.text for move in moves if named is None or move.instance in named]


def stray_text(stray: Container) -> Text:
    """Return the warning for a container that has an instance's labels and is not its container."""
    return Text(
        "{name} ({status}) has the labels of {id} but is not its container; `docker rm -f {name}` removes it",
        name=stray.name,
        status=stray.status,
        id=stray.instance,
    )


def after_showing(snapshot: FleetSnapshot, selection: Selection) -> int:
    """Print which configs are invalid, of what was asked about. Returns the exit code."""
    named = selection.named(snapshot.project)
    say_problems(snapshot.project, named)
    return BAD_CONFIG if snapshot.project.problems_of(named) else OK
