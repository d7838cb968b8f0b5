"""`completion`: the script with which a shell completes our command lines."""

from __future__ import annotations

from argparse import Namespace

from manager.cli import completion
from manager.errors import OK
from manager.fleet.session import Session
from manager.util import console


def completion_(_session: Session, args: Namespace) -> int:
    """Prints it; the shell evaluates it."""
    console.say(completion.SCRIPTS[args.shell], end="")
    return OK
