"""Run `host add`, `host list`, `host check`, `host remove`, `host deploy`, `host live`: other machines."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.notices import one_output
from manager.config.fleet import Fleet
from manager.errors import FAILED, OK, ImageMissing, ManagerError, NotFound, UsageError, worst_exit_code
from manager.fleet.session import Session
from manager.i18n import Text, _, labelled, mark
from manager.ops.hosts import check as checks
from manager.ops.hosts import everywhere, registry
from manager.ops.hosts.check import Finding
from manager.ops.hosts.registry import HERE, Host
from manager.util import console, scratch
from manager.util.text_table import Column

if TYPE_CHECKING:
    from manager.ops.hosts.package import Package

MOST_KEY = 200
LEVELS = {True: "ok", None: "warn", False: "fail"}
"""As `doctor --json` has them."""
WORDS = {True: mark("ok"), None: mark("warning"), False: mark("FAILED")}


def add(session: Session, args: Namespace) -> int:
    """Check a host and write it down. One that fails is not written."""
    folder = session.project_dir()
    hosts = registry.load(folder)
    known = hosts.get(args.name)
    seconds = args.answer_within or (known.answer_within if known else registry.ANSWERS_S)
    host = registry.parse(args.name, args.url, seconds)
    fleet = session.project().fleet
    _require_other_name(fleet, host)
    if known is not None and known.url != host.url:
        raise UsageError(
            "{name} is {url} already; `manager host remove {name}` removes it",
            name=args.name,
            url=known.url,
        )
    if not _checked(host, fleet):
        console.error(Text("{name} was not added", name=host.name))
        return FAILED
    registry.save(folder, {**hosts, host.name: host})
    console.say(Text("{name} was added: `manager --host {name} ps`", name=host.name))
    return OK


def check(session: Session, args: Namespace) -> int:
    """Check hosts that are known, all of them if none is named, at once: a dead one delays no other."""
    folder = session.project_dir()
    chosen = [registry.get(folder, name) for name in args.names] or list(registry.load(folder).values())
    if not (chosen or args.json):
        _say_none()
    fleet, is_sound = session.project().fleet, True
    objects = []
    with everywhere.interruptible_pool(len(chosen)) as pool:
        for host, findings in zip(
            chosen, pool.map(lambda host: [*checks.check(host, fleet)], chosen), strict=True
        ):
            for finding in findings:
                objects.append(_as_object(host, finding))
                if not args.json:
                    _say(host, finding)
            is_sound = is_sound and all(finding.is_ok is not False for finding in findings)
    if args.json:
        console.say_json(objects)
    return OK if is_sound else FAILED


def _as_object(host: Host, finding: Finding) -> dict[str, str]:
    return {"host": host.name, "level": LEVELS[finding.is_ok], "text": str(finding.text)}


def list_(session: Session, args: Namespace) -> int:
    """Print the hosts."""
    one_output(args)
    hosts = list(registry.load(session.project_dir()).values())
    if args.json:
        console.say_json(
            [{"name": host.name, "url": host.url, "answer_within_s": host.answer_within} for host in hosts]
        )
    elif not hosts:
        _say_none()
    else:
        columns = [
            Column[Host]("name", mark("NAME"), lambda host: host.name),
            Column[Host]("address", mark("ADDRESS"), lambda host: host.url),
            Column[Host]("answer_within", mark("ANSWERS WITHIN"), lambda host: f"{host.answer_within} s"),
        ]
        console.say(console.table(columns, hosts, args.format))
    return OK


def _say_none() -> None:
    console.say(_("no hosts: `manager host add NAME ssh://USER@HOST/FOLDER` adds one"))


def live(session: Session, _args: Namespace) -> int:
    """Tell the manager of another machine which accounts the live instances of this one trade on."""
    from manager.ops.hosts import account_looks

    key = "" if sys.stdin.isatty() else sys.stdin.read(MOST_KEY)
    console.say_json(account_looks.answer(session.observe(), key))
    return OK


def deploy(session: Session, args: Namespace) -> int:
    """Bring this manager and the fleet's image to other machines. Nothing that runs there is touched."""
    from manager.ops.hosts import package

    folder = session.project_dir()
    if args.url is not None:
        if len(args.names) != 1:
            raise UsageError("--url belongs to one host")
        hosts = [registry.parse(args.names[0], args.url)]
        _require_other_name(session.project().fleet, hosts[0])
    else:
        hosts = [registry.get(folder, name) for name in args.names]
    with tempfile.TemporaryDirectory(prefix="botfleet-", dir=scratch.folder()) as temporary:
        made = package.make(Path(temporary))
        codes = [_deploy(session, host, made) for host in hosts]
    if args.url is not None and codes == [OK]:
        codes.append(add(session, Namespace(name=args.names[0], url=args.url, answer_within=None)))
    return worst_exit_code(codes)


def _deploy(session: Session, host: Host, made: Package) -> int:
    from manager.ops.hosts import deploy as deployment

    try:
        image_id = _image_id(session)
        is_new = deployment.install(host, made)
        change = Text("installed") if is_new else Text("there already")
        console.say(Text("{host}: package {digest}: {what}", host=host.name, digest=made.digest, what=change))
        name = str(deployment.facts(host)["image"]["name"])
        is_new_image = deployment.send_image(host, image_id, name)
        change = Text("loaded as {name}", name=name) if is_new_image else Text("there already")
        short = image_id.removeprefix("sha256:")[:12]
        console.say(Text("{host}: image {digest}: {what}", host=host.name, digest=short, what=change))
    except ManagerError as error:
        console.error(error)
        return error.exit_code
    if is_new or is_new_image:
        console.say(
            Text(
                "{host}: running instances are unchanged; `manager --host {host} upgrade` rolls out "
                "the image",
                host=host.name,
            )
        )
    return OK


def _image_id(session: Session) -> str:
    name = session.project().fleet.image_name
    try:
        return str(session.engine().image(name)["Id"])
    except NotFound as error:
        raise ImageMissing(
            "the image {image} does not exist; build it with `manager build`", image=name
        ) from error


def remove(session: Session, args: Namespace) -> int:
    """Forget a host. Nothing is done there. One that an unfinished move needs stays, unless forced."""
    folder = session.project_dir()
    host = registry.get(folder, args.name)
    hosts = registry.load(folder)
    if not args.force:
        _require_no_move(session, host)
    registry.save(folder, {name: other for name, other in hosts.items() if name != host.name})
    console.say(Text("{name} was removed; its instances keep running", name=host.name))
    return OK


def _require_no_move(session: Session, host: Host) -> None:
    """Raise ManagerError if a move from or to this host is not finished: without it no command ends it."""
    from manager.ops.move import journal

    for instance, move in journal.unfinished(session.project().fleet, host.name).items():
        ends = f"{instance} --from {move.source}" if move.target == HERE else f"{instance} {move.target}"
        raise ManagerError(
            "{name} was not removed: the move of {id} from {source} to {target} is not finished, and {id} may"
            " run on neither. `manager move {ends}` finishes it, `manager move {id} --back` calls it off. If"
            " {name} is lost for good, `manager host remove {name} --force` removes it all the same",
            name=host.name,
            id=instance,
            source=move.source,
            target=move.target,
            ends=ends,
        )


def _require_other_name(fleet: Fleet, host: Host) -> None:
    """Raise UsageError for this machine's own name, which `host` in configs would then have twice."""
    if host.name == fleet.host_name:
        raise UsageError(
            "{name} is this machine's own name; choose another one for the host, or write another one for"
            " this machine as `host` in config/fleet.toml",
            name=host.name,
        )


def _checked(host: Host, fleet: Fleet) -> bool:
    is_sound = True
    for finding in checks.check(host, fleet):
        _say(host, finding)
        is_sound = is_sound and finding.is_ok is not False
    return is_sound


def _say(host: Host, finding: Finding) -> None:
    console.say(labelled(host.name, _(WORDS[finding.is_ok]), finding.text))
