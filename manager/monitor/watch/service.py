"""Manage the systemd unit of `manager watch`: its text (pure), its installation and removal."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from manager import i18n
from manager.config.fleet import Fleet
from manager.errors import ManagerError, writing_to
from manager.i18n import Text, _, mark
from manager.typed import NamedTuple
from manager.util import formatting

SYSTEM_FOLDER = Path("/etc/systemd/system")
RUNNING_SYSTEMD = Path("/run/systemd/system")
"""Exists if systemd is the init of this machine, according to its documentation."""
SYSTEMCTL_TIMEOUT_S = 120
NO_BUS = "connect to bus"
"""What `systemctl --user` says where there is no session of the user."""

TEMPLATE = """\
# Written by `manager install-service`, which also removes it: changes made here are lost.
[Unit]
Description=botfleet: watches the fleet {name}
{after}StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory={folder}
ExecStart={python} -m manager --project-dir {project}{options}
{environment}Restart=on-failure
RestartSec=10
{kill}TimeoutStopSec=90
{hardening}
[Install]
WantedBy={target}
"""

KILL_OF_WATCH = """\
# Only the main process is told to end: a message that is being sent has a moment more.
KillMode=mixed
"""
KILL_OF_SERVE = """\
# The main process ends the others. What was begun on the page, such as a restart, comes to its end.
KillMode=process
"""

AFTER_ENGINE = """\
After=docker.service network-online.target
Wants=network-online.target
"""
"""Not Requires: the unit that watches the engine must outlive it."""

ADDRESS_FAMILIES = "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
SYSTEM_HARDENING = f"""\
# It needs the engine's socket, the data folder and the host's /proc, and nothing else of what root may do.
OOMScoreAdjust=-500
NoNewPrivileges=yes
ProtectSystem=full
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
{ADDRESS_FAMILIES}
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
USER_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
"""
"""What a user's systemd can do without privileges."""

PASSED = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_CACHE_HOME", "BOTFLEET_ENGINE_CLIENT")
"""The variables that choose the engine, from the shell of the installation. None contains a secret."""


class Unit(NamedTuple):
    """Hold a unit's file and content, and what it runs where. `is_user`: of the user's own systemd."""

    path: Path
    text: str
    is_user: bool
    words: Sequence[str] = ("watch",)
    folder: Path = Path()

    @property
    def name(self) -> str:
        """Return its name for systemctl."""
        return self.path.name


def unit_of(fleet: Fleet, metrics: tuple[str, int] | None = None, command: str = "watch") -> Unit:
    """Return the unit for this fleet: the system's for root, else the user's. `command`: watch or serve."""
    is_user = os.geteuid() != 0
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = config / "systemd" / "user" if is_user else SYSTEM_FOLDER
    variables = {name: os.environ[name] for name in PASSED if os.environ.get(name)}
    variables["MANAGER_LANG"] = i18n.language()
    options = ["--metrics", formatting.host_port(*metrics)] if metrics else []
    words = [command, *options]
    text = unit_text(fleet.name, fleet.project_dir, Path(sys.executable), variables, words, is_user=is_user)
    if fleet.egress is not False:  # iptables speaks netlink
        text = text.replace(ADDRESS_FAMILIES, f"{ADDRESS_FAMILIES} AF_NETLINK")
    path = folder / f"botfleet-watch-{fleet.name}.service"
    return Unit(path, text, is_user, words, fleet.project_dir)


def watches(fleet: Fleet) -> bool:
    """Return whether a unit is installed that runs `manager watch` for this fleet."""
    lines = (_content(unit_of(fleet).path) or "").splitlines()
    return any(line.startswith("ExecStart=") and " watch" in line.rpartition('"')[2] for line in lines)


def unit_text(
    name: str,
    project_dir: Path,
    python: Path,
    variables: Mapping[str, str],
    words: Sequence[str] = ("watch",),
    *,
    is_user: bool,
) -> str:
    """Return the unit's content. Pure."""
    return TEMPLATE.format(
        name=name,
        after="" if is_user else AFTER_ENGINE,
        folder=_literal(str(project_dir)),
        python=_quoted(str(python)),
        project=_quoted(str(project_dir)),
        options="".join(f" {word}" for word in words),
        kill=KILL_OF_SERVE if "serve" in words else KILL_OF_WATCH,
        environment="".join(
            f"Environment={_quoted(f'{variable}={value}', dollars=False)}\n"
            for variable, value in variables.items()
        ),
        hardening=USER_HARDENING if is_user else SYSTEM_HARDENING,
        target="default.target" if is_user else "multi-user.target",
    )


def _literal(text: str) -> str:
    """Escape systemd's `%` specifiers."""
    return text.replace("%", "%%")


def _quoted(text: str, *, dollars: bool = True) -> str:
    """Quote one word of a command line in a unit; only there `$` starts a variable."""
    text = _literal(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text.replace("$", "$$") if dollars else text}"'


def install(unit: Unit) -> Iterator[str]:
    """Write the unit if it differs, and start it now and at every boot.

    Yields what was done.
    """
    _require_systemd(unit)
    is_new = _content(unit.path) != unit.text
    if is_new:
        _write(unit)
        yield str(Text("{path}: written", path=unit.path))
    else:
        yield str(Text("{path}: up to date", path=unit.path))
    _systemctl(unit, "daemon-reload")
    _systemctl(unit, "enable", unit.name)
    _systemctl(unit, "restart" if is_new else "start", unit.name)
    ends_with_login = unit.is_user and not _lingers()
    running = (
        mark("{name} is running; its log: {command}")
        if ends_with_login
        else mark("{name} is running, and starts at every boot; its log: {command}")
    )
    yield str(Text(running, name=unit.name, command=_journal(unit)))
    if ends_with_login:
        yield str(
            Text(
                "it stops when you log out, and starts when you log in; `sudo loginctl enable-linger"
                " {user}` keeps it running",
                user=getpass.getuser(),
            )
        )


def remove(unit: Unit) -> Iterator[str]:
    """Stop the service and remove the unit. Yields what was done."""
    if not unit.path.exists():
        yield str(Text("{path}: does not exist, nothing to do", path=unit.path))
        return
    if RUNNING_SYSTEMD.is_dir():
        _systemctl(unit, "disable", "--now", unit.name)
    try:
        unit.path.unlink()
    except OSError as error:
        raise ManagerError(
            "cannot remove {path}: {why}", path=unit.path, why=error.strerror or error
        ) from error
    if RUNNING_SYSTEMD.is_dir():
        _systemctl(unit, "daemon-reload")
    yield str(Text("{path}: removed", path=unit.path))


def _require_systemd(unit: Unit) -> None:
    if not RUNNING_SYSTEMD.is_dir() or shutil.which("systemctl") is None:
        raise ManagerError(
            "this machine does not run systemd: have your service manager run {command} in {folder}, and"
            " restart it when it exits",
            command=f"`{shlex.join([sys.executable, '-m', 'manager', *unit.words])}`",
            folder=unit.folder,
        )


def _write(unit: Unit) -> None:
    from manager.util.atomic_file import replace_bytes

    with writing_to(unit.path):
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(unit.path, unit.text.encode(), 0o644)


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _systemctl(unit: Unit, *args: str) -> None:
    words = ["systemctl", *(["--user"] if unit.is_user else []), *args]
    try:
        completed = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=SYSTEMCTL_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ManagerError("`{command}` failed: {why}", command=" ".join(words), why=error) from error
    if completed.returncode != 0:
        why = (completed.stderr.strip().splitlines() or [_("no reason given")])[-1]
        if unit.is_user and NO_BUS in why:
            raise ManagerError(
                "`{command}` failed: {why}: systemd does not know this login of {user}, as after su or sudo;"
                " log in as {user}, or run `sudo loginctl enable-linger {user}` and"
                " `export XDG_RUNTIME_DIR={folder}`, and then this again",
                command=" ".join(words),
                why=why,
                user=getpass.getuser(),
                folder=f"/run/user/{os.geteuid()}",
            )
        raise ManagerError("`{command}` failed: {why}", command=" ".join(words), why=why)


def _journal(unit: Unit) -> str:
    return f"journalctl {'--user ' if unit.is_user else ''}-u {unit.name}"


def _lingers() -> bool:
    return Path("/var/lib/systemd/linger", getpass.getuser()).exists()
