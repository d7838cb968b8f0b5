"""Run `host add`, `host list`, `host check`, `host remove` and `host live`: the trader's other machines."""

from __future__ import annotations

import sys
from argparse import Namespace

from manager.cli.notices import one_output
from manager.errors import FAILED, OK, UsageError
from manager.fleet.session import Session
from manager.i18n import Text, _, mark
from manager.ops.hosts import check as checks
from manager.ops.hosts import registry
from manager.ops.hosts.check import Finding
from manager.ops.hosts.registry import Host
from manager.util import console
from manager.util.text_table import Column

MOST_KEY = 200
WORDS = {True: mark("ok"), None: mark("warning"), False: mark("FAILED")}


def add(session: Session, args: Namespace) -> int:
    """Check a host and write it down. One that fails is not written."""
    folder = session.project_dir()
    host, hosts = registry.parse(args.name, args.url), registry.load(folder)
    if args.name in hosts and hosts[args.name] != host:
        raise UsageError(
            "{name} is {url} already; `manager host remove {name}` forgets it",
            name=args.name,
            url=hosts[args.name].url,
        )
    if not _checked(host):
        console.error(Text("{name} was not added", name=host.name))
        return FAILED
    registry.save(folder, {**hosts, host.name: host})
    console.say(Text("{name} was added: `manager --host {name} ps`", name=host.name))
    return OK


def check(session: Session, args: Namespace) -> int:
    """Check hosts that are known; all of them if none is named."""
    folder = session.project_dir()
    chosen = [registry.get(folder, name) for name in args.names] or list(registry.load(folder).values())
    results = [_checked(host) for host in chosen]
    return OK if all(results) else FAILED


def list_(session: Session, args: Namespace) -> int:
    """Print the hosts."""
    one_output(args)
    hosts = list(registry.load(session.project_dir()).values())
    if args.json:
        console.say_json([{"name": host.name, "url": host.url} for host in hosts])
    elif not hosts:
        console.say(_("no hosts: `manager host add NAME ssh://USER@HOST/FOLDER` adds one"))
    else:
        columns = [
            Column[Host]("name", mark("NAME"), lambda host: host.name),
            Column[Host]("address", mark("ADDRESS"), lambda host: host.url),
        ]
        console.say(console.table(columns, hosts, args.format))
    return OK


def live(session: Session, _args: Namespace) -> int:
    """Tell the manager of another machine which accounts the live instances of this one trade on."""
    from manager.ops.hosts import account_looks

    key = "" if sys.stdin.isatty() else sys.stdin.read(MOST_KEY)
    console.say_json(account_looks.answer(session.observe(), key))
    return OK


def remove(session: Session, args: Namespace) -> int:
    """Forget a host. Nothing is done there."""
    folder = session.project_dir()
    host = registry.get(folder, args.name)
    hosts = registry.load(folder)
    registry.save(folder, {name: other for name, other in hosts.items() if name != host.name})
    console.say(Text("{name} was removed; what runs there goes on", name=host.name))
    return OK


def _checked(host: Host) -> bool:
    is_sound = True
    for finding in checks.check(host):
        _say(host, finding)
        is_sound = is_sound and finding.is_ok is not False
    return is_sound


def _say(host: Host, finding: Finding) -> None:
    console.say(f"{host.name}: {_(WORDS[finding.is_ok])}: {finding.text}")
