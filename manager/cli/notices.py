"""What commands that look say besides what they show: other folders' containers, strays, configs that cannot be used."""

from __future__ import annotations

from manager.engine.containers import Container
from manager.errors import BAD_CONFIG, OK
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import show_problems
from manager.i18n import Text
from manager.util import console


def say_foreign(snapshot: FleetSnapshot) -> bool:
    """Says it when containers of this fleet's name are another folder's; whether all are ours."""
    found = snapshot.foreign()
    for problem in found:
        console.error(problem)
    return not found


def say_strays(snapshot: FleetSnapshot) -> None:
    """Says which containers bear our labels and must not be there."""
    for each in snapshot.observed.strays:
        console.warning(stray_text(each))


def stray_text(stray: Container) -> Text:
    """What to say of a container that bears an instance's labels and is not its container."""
    return Text(
        "{name} ({status}) bears the labels of {id} but is not its container; `docker rm -f {name}` removes it",
        name=stray.name, status=stray.status, id=stray.instance,
    )  # fmt: skip


def after_showing(snapshot: FleetSnapshot) -> int:
    """Says which configs cannot be used. Returns the exit code."""
    show_problems(snapshot.project)
    return BAD_CONFIG if snapshot.project.problems else OK
