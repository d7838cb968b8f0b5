"""Run a command on the fleet's services in a Docker Swarm (`--swarm`)."""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Mapping

from manager.errors import UsageError
from manager.fleet.session import Session

FOR_ALL = frozenset({"command", "function", "project_dir", "lang", "host", "swarm", "ids", "instance_id"})
OPTIONS: Mapping[str, tuple[str, frozenset[str]]] = {
    "compose": ("swarm.compose", frozenset({"stdout"})),
    "up": ("swarm.up", frozenset({"json", "wait_timeout"})),
    "down": ("swarm.down", frozenset({"json", "yes"})),
    "halt": ("swarm.halt", frozenset({"json"})),
    "ps": ("swarm.ps", frozenset({"json", "format"})),
    "logs": (
        "swarm_logs.logs",
        frozenset({"follow", "tail", "since", "grep", "errors", "timestamps", "json"}),
    ),
    "doctor": ("swarm.doctor", frozenset({"json", "format"})),
}
"""The commands that know Swarm: their function, and which of their options count there."""
DEFAULTS: tuple[object, ...] = (None, False, [], 0.0, 120.0, "id", "1")


def run(session: Session, args: Namespace) -> int:
    """Run the command there. Returns its exit code. Raises ManagerError."""
    if args.host is not None or getattr(args, "hosts", False):
        raise UsageError("--swarm and --host or --hosts exclude each other")
    if args.command not in OPTIONS:
        raise UsageError(
            "`manager {command}` knows no Swarm; --swarm belongs to {known}",
            command=args.command,
            known=", ".join(OPTIONS),
        )
    function, known = OPTIONS[args.command]
    for name, value in vars(args).items():
        if name not in known | FOR_ALL and value not in DEFAULTS:
            raise UsageError(
                "`manager --swarm {command}` knows no --{option}",
                command=args.command,
                option=name.replace("_", "-"),
            )
    module, _dot, name = function.partition(".")
    return int(getattr(importlib.import_module(f"manager.cli.commands.{module}"), name)(session, args))
