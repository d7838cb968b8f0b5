"""Ask for confirmation: before a fleet with live bots is stopped, and before a host is taken for dead.

Not in a pipe, not with `--yes`, never for `halt`.
"""

from __future__ import annotations

from manager.errors import EngineError, UsageError
from manager.fleet.session import Session
from manager.i18n import Text
from manager.typed import TYPE_CHECKING
from manager.util import prompt

if TYPE_CHECKING:
    from argparse import Namespace


def stops_live_bots(session: Session, args: Namespace, question: str) -> bool:
    """Return whether the command may continue.

    `question` has `{count}` and `{ids}` of the running live bots.
    """
    if args.yes or args.ids or args.config or args.dry_run or args.json or not prompt.is_possible():
        return True
    try:
        session.project_to_halt()
        live = [container.instance for container in session.observe().trading(())]
    except EngineError:  # said by the command itself
        return True
    return not live or prompt.confirm(Text(question, count=len(live), ids=", ".join(live)))


def dead_hosts(session: Session, args: Namespace) -> tuple[str, ...]:
    """Return the hosts of `--host-is-dead`; at a terminal each is typed again. Raises UsageError."""
    names: list[str] = getattr(args, "host_is_dead", [])
    if not names:
        return ()
    from manager.ops.hosts import registry

    for name in names:
        registry.get(session.project_dir(), name)
        question = Text(
            "a bot that still trades on {name} and one that is started here would trade on one account;"
            " type {name} if nothing trades there any more",
            name=name,
        )
        if not args.dry_run and prompt.is_possible() and prompt.ask(question) != name:
            raise UsageError("{name} was not typed; nothing was done", name=name)
    return tuple(names)
