"""Run `serve`: the fleet's page and its API, in the foreground or in the background."""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
import sys
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import FAILED, OK, Locked, ManagerError, TimedOut, UsageError
from manager.fleet import lock
from manager.fleet.session import Session
from manager.i18n import Text, _, joined
from manager.monitor.top.commands import manager
from manager.util import console, prompt
from manager.util.polling import wait_until
from manager.util.trusted_folder import open_in_trusted, unlink_in_trusted

if TYPE_CHECKING:
    from manager.web.options import Options
    from manager.web.places import Places
    from manager.web.running import Running

NEEDED = ("fastapi", "uvicorn")
READY_WITHIN_S = 60.0
POLL_S = 0.1
LAST_LINES = 5
SIDES = ("engine_side", "standby_side")
"""The processes that are of the command line's room, as the page's may not import it."""
LEAST_PASSWORD = 10


def serve(session: Session, args: Namespace) -> int:
    """Serve the page, or do to the one that runs what is asked."""
    from manager.web import places

    at = places.of(session.project().fleet)
    if args.set_password or args.set_code or args.add_token or args.remove_token:
        return _set_access(at, args)
    match args.what:
        case "stop":
            return _stop(at)
        case "status":
            return _status(at)
        case "link":
            return _link(at)
    _require_packages()
    options = _options(args)
    return _detach(session, at, options) if args.detach else _run(session, at, options)


def _require_packages() -> None:
    """Raise ManagerError without those of the page. One that runs can be ended without them."""
    if not all(map(find_spec, NEEDED)):
        raise ManagerError(
            "`manager serve` needs the packages of the extra `web`: {python} -m pip install 'botfleet[web]'",
            python=shlex.quote(sys.executable),
        )


def _options(args: Namespace) -> Options:
    from manager.web.options import Options

    cert, key = (None if file is None else Path(file).absolute() for file in (args.tls_cert, args.tls_key))
    return Options(args.listen, tuple(args.name), cert, key, tuple(args.behind_proxy), args.bot_origin or "")


def _run(session: Session, at: Places, options: Options) -> int:
    """Run until Ctrl-C or SIGTERM."""
    from manager.web import keeper, links, running
    from manager.web.running import Running

    is_detached = os.getsid(0) == os.getpid() and not sys.stdout.isatty()
    engine_side, standby = ([sys.executable, "-P", "-m", f"manager.cli.{name}"] for name in SIDES)
    stamp = running.stamp()  # before anything is loaded late
    try:
        with lock.held(at.lock, "serve"):
            processes = keeper.Keeper(
                keeper.Setting(
                    at,
                    options,
                    session.chosen_dir,
                    engine_side,
                    [*standby, "manager", str(session.project_dir())],
                    is_detached=is_detached,
                )
            )

            def say() -> None:
                console.say(Text("the fleet's page: {url}", url=processes.url))
                if not is_detached:
                    console.say(links.invitation(at.link, processes.url))
                is_own = is_detached and "INVOCATION_ID" not in os.environ
                running.write(
                    at,
                    Running(
                        os.getpid(), processes.url, processes.port, stamp, options.words(), is_detached=is_own
                    ),
                )

            processes.run(say)
    except Locked as error:
        holder = error.text.params["holder"]
        raise Locked(
            "{holder} already serves this fleet: see `manager serve status`", holder=holder
        ) from error
    console.say(_("serve has stopped"))
    return OK


def _detach(session: Session, at: Places, options: Options) -> int:
    """Start it in the background, unless it runs with the present code and these options."""
    from manager.util import ownership
    from manager.web import access, running
    from manager.web import options as rules

    rules.require_allowed(options, access.load(at.access))
    words = options.words()
    if (server := running.find(at)) is not None:
        words = words or list(server.words)
        is_present = server.stamp == running.stamp()
        if is_present and words == list(server.words):
            console.say(Text("the fleet's page: {url} (it runs already)", url=server.url))
            return OK
        if not server.is_detached:
            console.warning(
                Text(
                    "`manager serve` (pid {pid}) runs with other code or options: restart it", pid=server.pid
                )
            )
            return OK
    running.end(at)
    ownership.make_folder(at.folder)
    descriptor = open_in_trusted(at.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        process = subprocess.Popen(
            manager(session.chosen_dir, "serve", *words),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    return _say_link(at, _started(at, process))


def _started(at: Places, process: subprocess.Popen[bytes]) -> Running:
    """Return the one that was started, once it answers. Raises ManagerError with the end of its log."""
    from manager.web import running

    server: Running | None = None

    def has_started() -> bool:
        nonlocal server
        server = running.find(at)
        if server is not None and server.pid == process.pid:
            return True
        if process.poll() is not None:
            lines = at.log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
            why = joined(map(console.without_label, lines))
            raise ManagerError("`manager serve` did not start: {why}", why=why)
        return False

    if wait_until(has_started, time.monotonic() + READY_WITHIN_S, POLL_S) and server is not None:
        return server
    raise TimedOut(
        "`manager serve` did not start within {seconds} s: see {file}",
        seconds=round(READY_WITHIN_S),
        file=at.log,
    )


def _say_link(at: Places, server: Running) -> int:
    from manager.web import links

    console.say(Text("the fleet's page: {url}", url=server.url))
    console.say(links.invitation(at.link, server.url))
    return OK


def _stop(at: Places) -> int:
    from manager.web import running

    console.say(_("serve has stopped") if running.end(at) else _("serve does not run"))
    return OK


def _status(at: Places) -> int:
    from manager.web import running

    server = running.find(at)
    if server is None:
        console.say(_("serve does not run"))
        return FAILED
    console.say(Text("serve runs (pid {pid}): {url}", pid=server.pid, url=server.url))
    if server.stamp != running.stamp():
        console.say(_("it runs the code of another version: `manager serve --detach` replaces it"))
    return OK


def _link(at: Places) -> int:
    from manager.web import running

    server = running.find(at)
    if server is None:
        raise ManagerError("serve does not run: start it with `manager serve`")
    return _say_link(at, server)


def _set_access(at: Places, args: Namespace) -> int:
    """Change who may sign in. The web side is started again with it.

    Sessions go on, but not behind another password or code: the one before may be in wrong hands.
    """
    from manager.web import access, running

    known = access.load(at.access)
    if args.set_password:
        known = access.with_password(known, args.role, _asked_password())
        console.say(Text("the password of the role {role} is set", role=args.role))
    if args.set_code:
        known = known._replace(totp=access.new_totp())
        console.say(_("add this to your authenticator; a password then needs its code too:"))
        console.say(f"otpauth://totp/botfleet?secret={known.totp}&issuer=botfleet")
    for name in args.remove_token:
        if name not in known.tokens:
            raise UsageError("no token {name}", name=name)
        known = known._replace(tokens={key: token for key, token in known.tokens.items() if key != name})
    if args.add_token:
        known, token = access.with_token(known, args.add_token, args.role)
        console.say(Text("the token {name}, which is not shown again:", name=args.add_token))
        console.say(token)
    access.save(at.access, known)
    if args.set_password or args.set_code:
        unlink_in_trusted(at.sessions)
        console.say(_("everybody who was signed in has to sign in again"))
    running.tell_access(at)
    return OK


def _asked_password() -> str:
    """Return what was typed twice."""
    if not prompt.is_possible():
        raise UsageError("--set-password asks for the password at a terminal")
    password = getpass.getpass(f"{_('password')}: ")
    if len(password) < LEAST_PASSWORD:
        raise UsageError("a password has at least {count} characters", count=LEAST_PASSWORD)
    if getpass.getpass(f"{_('once more')}: ") != password:
        raise UsageError("the passwords do not match; nothing was changed")
    return password
