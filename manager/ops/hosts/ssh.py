"""Run one command on one host, by OpenSSH's own client: its keys, its agent, its known hosts.

Nothing is asked for: a host whose key is not known is refused, and so is a login that needs a password. One
connection serves all commands of a minute. No secret is ever an argument. BOTFLEET_SSH_CONFIG names another
configuration than ~/.ssh/config.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from manager import i18n
from manager.errors import EngineUnreachable, ManagerError
from manager.i18n import Text
from manager.ops.hosts.registry import LONGEST_ANSWER_S, Host
from manager.typed import NamedTuple
from manager.util import scratch
from manager.util.sanitize import replace_unprintable

T = TypeVar("T")
SAYS_WHY_S = 2
"""ssh itself gives up so long before it would be ended, so that it says what it has waited for."""
BUSY_S = 60.0
"""A machine with a load of some dozens begins to serve a login within a minute."""
FIRST_PAUSE_S = 1.0
KEPT_S = 60
ASKED_S = 10.0
"""The client tells its own settings at once; a `Match exec` of them may hang."""
LONGEST_FOLDER = 49
"""A socket's path has at most 107 bytes, and ssh puts 58 behind the folder: a hash, and a suffix at first."""
SSH_FAILED = 255
"""What ssh itself ends with; no command of the manager does."""
NOT_RUN = frozenset({126, 127})
"""What a shell ends with where there is no manager that can be run."""
RUN = (
    'cd -- "$0" || exit 126; '
    'if [ -x .venv/bin/manager ]; then exec .venv/bin/manager "$@"; else exec manager "$@"; fi'
)
"""Run the manager of the host's project folder: of its checkout, else the installed one."""
RUN_WHILE_HELD = """\
exec 3<&0
cd -- "$0" || exit 126
if [ -x .venv/bin/manager ]; then manager=.venv/bin/manager; else manager=manager; fi
"$manager" "$@" </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill "$child"; } >/dev/null 2>&1 &
wait "$child"
"""
"""The same, until the standard input ends, as it does with the process here that holds it."""

BEGINS = b"== output of botfleet =="
"""Printed there before output that is read here: what a login shell's own files print comes first."""


class Unreachable(EngineUnreachable):
    """Signal that a host did not answer, or did not let us in."""


class Silent(Unreachable):
    """Signal that a command on a host did not end in time: the host may be away, or the command hangs."""


class Busy(Unreachable):
    """Signal that a connection was taken and nobody was served: nothing was begun on the host."""


class Taken(Busy):
    """Signal that the host itself took the connection, and no proxy before it: it runs."""


NOT_SERVED = ("during banner exchange", "kex_exchange_identification", "ssh_exchange_identification")
"""What ssh says then. A server with too many logins at once (MaxStartups) closes the connection."""
HAS_ANOTHER = "already exists, disabling multiplexing"
"""In what ssh says of two that connect at once: one keeps its connection, the other's is as good."""
PROXIES = ("proxycommand", "proxyjump")
"""Settings by which a connection is another program's: ssh says the same of a proxy that finds nobody."""


class CommandResult(NamedTuple):
    """Hold what a command on a host did."""

    code: int
    out: str
    err: str


def command(
    host: Host, words: Sequence[str], *, on_terminal: bool = False, is_read: bool = False
) -> list[str]:
    """Return the whole ssh command that runs `manager WORDS` there. Raises ManagerError without ssh."""
    return shell(host, ["sh", "-c", RUN, host.folder, *words], on_terminal=on_terminal, is_read=is_read)


def while_held(host: Host, words: Sequence[str]) -> list[str]:
    """Return the ssh command that runs `manager WORDS` there until its standard input ends."""
    return shell(host, ["sh", "-c", RUN_WHILE_HELD, host.folder, *words])


def follow(host: Host, words: Sequence[str]) -> list[str]:
    """Return the ssh command that runs `manager WORDS` there until it is ended here.

    On a terminal of its own, which is hung up when the connection ends: without one it would go on there.
    """
    return shell(
        host, ["sh", "-c", f"NO_COLOR=1; export NO_COLOR; {RUN}", host.folder, *words], on_terminal=True
    )


def shell(host: Host, words: Sequence[str], *, on_terminal: bool = False, is_read: bool = False) -> list[str]:
    """Return the ssh command that runs any words there. `is_read`: its output begins behind `BEGINS`."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(max(1, host.answer_within - SAYS_WHY_S)),
        "LogLevel": "ERROR",  # no banner in front of what its manager says, nor that a connection was closed
        "RemoteCommand": "none",  # what a person's login there runs is not for these commands
        "ClearAllForwardings": "yes",  # nor its ports, which the kept connection would have for a minute
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        **_kept_connection(),
    }
    return [
        *_ssh(),
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        "-tt" if on_terminal else "-T",
        *_where(host),
        f"echo {shlex.quote(BEGINS.decode())}; exec {shlex.join(words)}" if is_read else shlex.join(words),
    ]


def _ssh() -> list[str]:
    """Return the client, with its configuration. Raises ManagerError without it."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise ManagerError(
            "ssh is missing: install OpenSSH's client (on Debian and Ubuntu: apt-get install openssh-client)"
        )
    config = os.environ.get("BOTFLEET_SSH_CONFIG")
    return [ssh, *(["-F", config] if config else [])]


def _where(host: Host) -> list[str]:
    return [
        *(["-p", str(host.port)] if host.port else []),
        *(["-l", host.user] if host.user else []),
        "--",
        host.address,
    ]


def output(content: bytes) -> bytes:
    """Return what a command has printed, without what its login shell printed before."""
    before, mark, after = content.partition(BEGINS + b"\n")
    return after if mark else before


def run(host: Host, words: Sequence[str], timeout: float, stdin: bytes = b"") -> CommandResult:
    """Run `manager WORDS` there, in this one's language. Raises Unreachable."""
    language = [] if "--lang" in words else ["--lang", i18n.language().replace("_", "-")]
    return ended(host, command(host, [*language, *words], is_read=True), timeout, stdin)


def ended(host: Host, ssh_command: Sequence[str], timeout: float, stdin: bytes = b"") -> CommandResult:
    """Run an ssh command to its end. Raises Unreachable."""
    limit = max(timeout, host.answer_within)
    return while_busy(limit, lambda left: _ended(host, ssh_command, limit, left, stdin))


def while_busy(limit: float, call: Callable[[float], T]) -> T:
    """Return what the call gives; it is repeated while the host is busy. Raises Busy after a minute.

    The call is given how many seconds are left of `limit`.
    """
    began, pause = time.monotonic(), FIRST_PAUSE_S
    while True:
        try:
            return call(limit - (time.monotonic() - began))
        except Busy:
            if time.monotonic() - began + 2 * pause > min(limit, BUSY_S):
                raise
        time.sleep(pause)
        pause *= 2


def _ended(host: Host, ssh_command: Sequence[str], limit: float, left: float, stdin: bytes) -> CommandResult:
    ends_at = time.monotonic() + left

    def run_once(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            timeout=max(0.0, ends_at - time.monotonic()),
            check=False,
            start_new_session=True,
        )

    try:
        completed = run_once(ssh_command)
        if completed.returncode == SSH_FAILED and not completed.stderr.strip():
            completed = run_once(afresh(ssh_command))
    except subprocess.TimeoutExpired as error:
        raise silent(host, limit) from error
    out, err = (text.decode(errors="replace") for text in (output(completed.stdout), completed.stderr))
    if completed.returncode == SSH_FAILED:
        raise unreachable(host, err)
    message = "".join(line for line in err.splitlines(keepends=True) if HAS_ANOTHER not in line)
    return CommandResult(completed.returncode, out, message)


def afresh(ssh_command: Sequence[str]) -> list[str]:
    """Return the ssh command with a connection of its own.

    Where the process that kept a connection ends, ssh fails without a word: of any other fault it says why.
    """
    return [ssh_command[0], "-o", "ControlPath=none", "-o", "ControlMaster=no", *ssh_command[1:]]


def silent(host: Host, limit: float) -> Silent:
    """Return the error for a host that was waited for so long; for a usual wait, with how to wait longer."""
    if limit > host.answer_within:
        return Silent(
            "host {name} ({url}) did not answer within {limit} s",
            name=host.name,
            url=host.url,
            limit=round(limit),
        )
    return Silent(
        "host {name} ({url}) did not answer within {limit} s; if its link is always so slow, wait longer for"
        " it: `manager host add {name} {typed_url} --answer-within {longer}`",
        name=host.name,
        url=host.url,
        typed_url=shlex.quote(host.url),
        limit=round(limit),
        longer=min(3 * host.answer_within, LONGEST_ANSWER_S),
    )


def lets_in(host: Host) -> bool:
    """Return whether ssh logs in at all, or would if the host were less busy."""
    try:
        return ended(host, shell(host, ["true"]), 0).code == 0
    except Taken:
        return True
    except ManagerError:
        return False


CHANGED_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"
"""ssh says it at the top of twelve lines, of which the last is the same as for a key that is not known."""


UNKNOWN_KEY = "Host key verification failed."
"""ssh says it alone, with this level of its log, for a key that is in no file."""


def _typed(host: Host) -> str:
    """Return the words behind `ssh` with which a person logs in there."""
    user = f"{host.user}@" if host.user else ""
    return f"{f'-p {host.port} ' if host.port else ''}{user}{host.address}"


def unreachable(host: Host, err: str) -> Unreachable:
    """Return the error for what ssh said when it failed."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    why: Text | str = replace_unprintable(lines[-1]) if lines else "ssh gave no reason"
    if CHANGED_KEY in err:
        why = Text(
            "its key is ANOTHER one than in known_hosts: it was installed anew, or somebody else answers at"
            " its address. Nothing was sent. Compare the fingerprint on the machine itself before you run"
            " `ssh-keygen -R`"
        )
    elif UNKNOWN_KEY in err:
        why = Text(
            "its key is not in known_hosts: run `ssh {target}` once, and compare the fingerprint with the"
            " machine's own",
            target=_typed(host),
        )
    if any(words in err for words in NOT_SERVED):
        kind = Busy if _is_by_proxy(host) else Taken
        return kind(
            "host {name} ({url}) does not let us in: {why}; its ssh server did not begin to answer, and the"
            " machine may only be busy",
            name=host.name,
            url=host.url,
            why=why,
        )
    return Unreachable("host {name} ({url}) cannot be reached: {why}", name=host.name, url=host.url, why=why)


def _is_by_proxy(host: Host) -> bool:
    """Return whether the client's configuration names a proxy for the host, or cannot be asked for it."""
    try:
        settings = subprocess.run(
            [*_ssh(), "-G", *_where(host)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASKED_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    lines = settings.stdout.decode(errors="replace").lower().splitlines()
    names = {name for name, _space, value in (line.partition(" ") for line in lines) if value != "none"}
    return settings.returncode != 0 or not names.isdisjoint(PROXIES)


def lost(host: Host) -> Unreachable:
    """Return the error for an ssh that had this process's own output, and failed or was killed."""
    return Unreachable(
        "host {name} ({url}) cannot be reached, or its connection was lost (ssh says why above); {what}",
        name=host.name,
        url=host.url,
        what=may_go_on(host),
    )


def no_manager(host: Host, why: Text | str | None = None) -> ManagerError:
    """Return the error for a shell there that found none. `why`: what it said; None if it stands above."""
    return ManagerError(
        "host {name} has no manager that can be run in {folder} ({why}): `manager host check {name}`",
        name=host.name,
        folder=host.folder,
        why=why or Text("its shell says why above"),
    )


def may_go_on(host: Host) -> Text:
    """Return what to say of a command there whose end is not seen here: nothing tells it that we are gone."""
    return Text(
        "what the command had begun on {name} may go on there: look with `manager --host {name} ps`",
        name=host.name,
    )


def _kept_connection() -> dict[str, str]:
    """Return the options that keep a connection for the next command; none where no path is short enough."""
    parents = [parent for parent in (os.environ.get("XDG_RUNTIME_DIR"), scratch.folder()) if parent]
    for parent in parents:
        folder = Path(parent, f"botfleet-ssh-{os.geteuid()}")
        if len(os.fsencode(folder)) <= LONGEST_FOLDER and os.access(folder.parent, os.W_OK):
            _make_private(folder)
            return {
                "ControlMaster": "auto",
                "ControlPath": str(folder / "%C"),
                "ControlPersist": str(KEPT_S),
            }
    return {"ControlMaster": "no", "ControlPath": "none"}


def _make_private(folder: Path) -> None:
    """Make a folder that only this user may enter. Raises ManagerError for another user's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    if not is_ours:
        raise ManagerError("{path} is not a folder of this user alone; remove it", path=folder)
