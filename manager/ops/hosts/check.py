"""Check what a host needs before it is added: a login, its project folder, its manager, engine and clock."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.i18n import Text
from manager.ops.hosts import account_looks, accounts, everywhere, identity, ssh, versions
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.registry import Host
from manager.typed import NamedTuple
from manager.util.sanitize import replace_unprintable

CLOCK_MOST_S = 2.0
"""Signed requests to exchanges are refused from a few seconds on."""
WITHIN_S = 30.0


class Finding(NamedTuple):
    """Hold one line of the check. `is_ok`: None for a warning."""

    is_ok: bool | None
    text: Text


class ClockReading(NamedTuple):
    """Hold what `date` of a host said: when it was asked, and how long the answer took, in seconds."""

    completed: ssh.CommandResult
    asked_at: float
    took: float


def check(host: Host, fleet: Fleet) -> Iterator[Finding]:
    """Yield what is found, and end at the first failure that makes the next checks pointless."""
    try:
        yield from _findings(host, fleet)
    except ManagerError as error:
        yield Finding(False, Text("ssh: {why}", why=error))


def _findings(host: Host, fleet: Fleet) -> Iterator[Finding]:
    """Yield what is found. Raises ManagerError if the host does not answer, or not any more."""
    login = _clock_reading(host)
    completed = login.completed
    if completed.code != 0:  # a login shell that is nologin, or a key that is for one command only
        lines = (completed.out.strip() or completed.err.strip()).splitlines() or ["-"]
        yield Finding(
            False,
            Text(
                "ssh: logged in, but that user may run no command there: {why}",
                why=replace_unprintable(lines[-1]),
            ),
        )
        return
    yield Finding(True, Text("ssh: logged in, {ms} ms", ms=round(login.took * 1000)))
    # The connection is there by now: without a login before it, the clock is read much more exactly.
    yield _clock(min(login, _clock_reading(host), key=lambda reading: reading.took))
    version = ssh.run(host, ["--version"], WITHIN_S)
    match = versions.VERSION.search(version.out)
    if match is None:
        why = (version.err.strip().splitlines() or ["-"])[-1]
        yield Finding(
            False,
            Text(
                "manager: there is none in {folder} ({why}); `manager host deploy {name} --url {url}`"
                " installs it",
                folder=host.folder,
                why=why,
                name=host.name,
                url=shlex.quote(host.url),
            ),
        )
        return
    yield _version(host, match[1])
    [listed] = everywhere.ask([host], ["ps", "--json"], WITHIN_S)
    if listed.error is not None:
        raise listed.error
    if everywhere.rows_in(listed) is None:
        why = listed.last_line
        yield Finding(False, Text("folder and engine: {why}", why=why))
        return
    yield Finding(True, Text("folder and engine: `manager ps` answers in {folder}", folder=host.folder))
    yield from _told(host, fleet)


def _version(host: Host, there: str) -> Finding:
    if (difference := versions.difference(host.name, there)) is not None:
        return Finding(None, Text("manager: {what}", what=difference))
    return Finding(True, Text("manager: {there}", there=there))


def _told(host: Host, fleet: Fleet) -> Iterator[Finding]:
    """Yield what its manager tells of it: folders that it may not write to, and its name."""
    [answer] = account_looks.ask(fleet, account_looks.key_of(fleet), [host])
    if answer.why is None and answer.look is not None and answer.look.unwritable:
        yield Finding(
            None,
            Text(
                "folder: that user may not write to {folders} there; starting, moving and `manager host"
                " deploy` need that",
                folders=", ".join(map(replace_unprintable, answer.look.unwritable)),
            ),
        )
    yield _own_name(host, fleet, answer)


def _own_name(host: Host, fleet: Fleet, answer: HostAnswer) -> Finding:
    """Compare the name that the machine has in `host` of configs. An earlier manager knows no such name."""
    if answer.why is not None or answer.look is None:
        return Finding(None, Text("accounts: cannot be asked ({why})", why=answer.why or "-"))
    name = answer.look.name
    if answer.is_here:
        return Finding(None, Text("name: {name} is this machine itself", name=host.name))
    if other := account_looks.other_name(fleet, answer):
        return Finding(
            None,
            Text(
                "name: {name} is the same project folder of the same machine as {other}; one name is enough:"
                " `manager host remove {other}`, or leave {name} out",
                name=host.name,
                other=other,
            ),
        )
    if name == fleet.host_name:
        here = accounts.identified(account_looks.key_of(fleet), identity.of(fleet))
        is_one_system = bool(here.boot) and answer.look.identity.boot == here.boot
        return Finding(
            None if is_one_system else False,
            Text(
                "name: it calls itself {name}, as this machine does, so that `host` in configs means both;"
                ' write host = "{other}" in its config/fleet.toml',
                name=name,
                other=host.name,
            ),
        )
    if name == host.name:
        return Finding(True, Text("name: {name}, there too", name=name))
    return Finding(
        None,
        Text(
            "name: it calls itself {theirs}, which `host` in configs has to say;"
            ' write host = "{name}" in its config/fleet.toml to have one name',
            theirs=name,
            name=host.name,
        ),
    )


def _clock_reading(host: Host) -> ClockReading:
    """Ask for the host's time. Raises ManagerError if it does not answer."""
    asked_at, began = time.time(), time.monotonic()
    completed = ssh.ended(host, ssh.shell(host, ["date", "+%s.%N"], is_read=True), WITHIN_S)
    return ClockReading(completed, asked_at, time.monotonic() - began)


def _clock(reading: ClockReading) -> Finding:
    text = reading.completed.out.strip()
    try:
        apart = float(text) - (reading.asked_at + reading.took / 2)
    except ValueError:
        return Finding(None, Text("clock: unknown ({what})", what=text[:40]))
    off = f"{apart:+.1f}"
    if abs(apart) > CLOCK_MOST_S + reading.took / 2:
        return Finding(
            None,
            Text(
                "clock: {seconds} s from this machine's: exchanges refuse requests of a wrong clock",
                seconds=off,
            ),
        )
    return Finding(True, Text("clock: {seconds} s from this machine's", seconds=off))
