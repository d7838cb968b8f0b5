"""Run `completion`: print the script by which a shell completes our command lines."""

from __future__ import annotations

from argparse import Namespace

from manager.cli import completion
from manager.errors import OK
from manager.fleet.session import Session
from manager.util import console


def completion_(_session: Session, args: Namespace) -> int:
    """Print the script, which the shell evaluates."""
    console.say(completion.SCRIPTS[args.shell], end="")
    return OK
