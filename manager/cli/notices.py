"""What commands that look say besides what they show: other folders' containers, strays, configs that cannot be used."""

from __future__ import annotations

from manager.engine.containers import Container
from manager.errors import BAD_CONFIG, OK
from manager.fleet.observe import Survey
from manager.fleet.session import show_problems
from manager.i18n import Text
from manager.util import console


def say_foreign(survey: Survey) -> bool:
    """Says it when containers of this fleet's name are another folder's; whether all are ours."""
    found = survey.foreign()
    for problem in found:
        console.error(problem)
    return not found


def say_strays(survey: Survey) -> None:
    """Says which containers bear our labels and must not be there."""
    for each in survey.observed.strays:
        console.warning(stray_text(each))


def stray_text(stray: Container) -> Text:
    """What to say of a container that bears an instance's labels and is not its container."""
    return Text(
        "{name} ({status}) bears the labels of {id} but is not its container; `docker rm -f {name}` removes it",
        name=stray.name, status=stray.status, id=stray.instance,
    )  # fmt: skip


def after_showing(survey: Survey) -> int:
    """Says which configs cannot be used. Returns the exit code."""
    show_problems(survey.project)
    return BAD_CONFIG if survey.project.problems else OK
