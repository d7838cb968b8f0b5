"""`completion`: the script with which a shell completes our command lines."""

from __future__ import annotations

from manager import completion, output
from manager.context import Context
from manager.errors import OK


def completion_(context: Context) -> int:
    """Prints it; the shell evaluates it."""
    output.say(completion.SCRIPTS[context.args.shell], end="")
    return OK
