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
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from manager.errors import EngineUnreachable, ManagerError
from manager.i18n import Text
from manager.ops.hosts.registry import Host
from manager.util import scratch
from manager.util.sanitize import replace_unprintable

CONNECT_S = 10
KEPT_S = 60
LONGEST_FOLDER = 49
"""A socket's path has at most 107 bytes, and ssh puts 58 behind the folder: a hash, and a suffix at first."""
SSH_FAILED = 255
"""What ssh itself ends with; no command of the manager does."""
RUN = (
    'cd -- "$0" && if [ -x .venv/bin/manager ]; then exec .venv/bin/manager "$@"; else exec manager "$@"; fi'
)
"""Run the manager of the host's project folder: of its checkout, else the installed one."""


class Unreachable(EngineUnreachable):
    """Signal that a host did not answer, or did not let us in."""


class Silent(Unreachable):
    """Signal that a command on a host did not end in time: the host may be away, or the command hangs."""


class CommandResult(NamedTuple):
    """Hold what a command on a host did."""

    code: int
    out: str
    err: str


def command(host: Host, words: Sequence[str], *, on_terminal: bool = False) -> list[str]:
    """Return the whole ssh command that runs `manager WORDS` there. Raises ManagerError without ssh."""
    return shell(host, ["sh", "-c", RUN, host.folder, *words], on_terminal=on_terminal)


def follow(host: Host, words: Sequence[str]) -> list[str]:
    """Return the ssh command that runs `manager WORDS` there until it is ended here.

    On a terminal of its own, which is hung up when the connection ends: without one it would go on there.
    """
    return shell(
        host, ["sh", "-c", f"NO_COLOR=1; export NO_COLOR; {RUN}", host.folder, *words], on_terminal=True
    )


def shell(host: Host, words: Sequence[str], *, on_terminal: bool = False) -> list[str]:
    """Return the ssh command that runs any words there."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise ManagerError(
            "ssh is missing: install OpenSSH's client (on Debian and Ubuntu: apt-get install openssh-client)"
        )
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(CONNECT_S),
        "LogLevel": "ERROR",  # no banner in front of what its manager says, nor that a connection was closed
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        **_kept_connection(),
    }
    config = os.environ.get("BOTFLEET_SSH_CONFIG")
    return [
        ssh,
        *(["-F", config] if config else []),
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        "-tt" if on_terminal else "-T",
        *(["-p", str(host.port)] if host.port else []),
        *(["-l", host.user] if host.user else []),
        "--",
        host.address,
        shlex.join(words),
    ]


def run(host: Host, words: Sequence[str], timeout: float, stdin: bytes = b"") -> CommandResult:
    """Run `manager WORDS` there. Raises Unreachable."""
    return ended(host, command(host, words), timeout, stdin)


def ended(host: Host, ssh_command: Sequence[str], timeout: float, stdin: bytes = b"") -> CommandResult:
    """Run an ssh command to its end. Raises Unreachable."""
    try:
        completed = subprocess.run(
            ssh_command,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Silent(
            "host {name} ({url}) did not answer within {limit} s",
            name=host.name,
            url=host.url,
            limit=round(timeout),
        ) from error
    out, err = (text.decode(errors="replace") for text in (completed.stdout, completed.stderr))
    if completed.returncode == SSH_FAILED:
        raise unreachable(host, err)
    return CommandResult(completed.returncode, out, err)


def lets_in(host: Host) -> bool:
    """Return whether ssh logs in at all."""
    try:
        return ended(host, shell(host, ["true"]), CONNECT_S).code == 0
    except ManagerError:
        return False


CHANGED_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"
"""ssh says it at the top of twelve lines, of which the last is the same as for a key that is not known."""


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
    return Unreachable("host {name} ({url}) cannot be reached: {why}", name=host.name, url=host.url, why=why)


def _kept_connection() -> dict[str, str]:
    """Return the options that keep a connection for the next command; none where no path is short enough."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), scratch.folder()):
        folder = Path(parent or "/nonexistent", f"botfleet-ssh-{os.geteuid()}")
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
