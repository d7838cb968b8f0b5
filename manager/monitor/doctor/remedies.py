"""Say what to do in words that are true of this machine: with systemd or without, with apt or without; and in
commands that this user may run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.engine import endpoint, unreachable
from manager.errors import EngineUnreachable
from manager.i18n import Text
from manager.util import bundle

SYSTEMD = Path("/run/systemd/system")
"""There where systemd is process 1; its commands may be installed where it is not."""
NTP_UNITS = tuple(
    Path(folder) / "systemd" / "ntp-units.d"
    for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
)
"""Where systemd looks for a time service that it could switch on. Debian 12 may have none."""
SETTINGS_FILE = "/etc/sysctl.d/60-botfleet.conf"


def no_live_restore(*, has_systemd: bool) -> Text:
    """Return how to disable live-restore in a rootless engine that runs, which keeps it without the key."""
    return Text(
        'set "live-restore": false in ~/.config/docker/daemon.json, then run `{command}`',
        command="systemctl --user reload docker"
        if has_systemd
        else "kill -HUP $(cat $XDG_RUNTIME_DIR/docker.pid)",
    )


def rootless_at_boot(*, has_systemd: bool) -> Text:
    """Return how to have a rootless engine, and the bots with it, run after logout and after a reboot."""
    if has_systemd:
        return Text(
            "run `loginctl enable-linger` to keep the bots running after logout and to start them after "
            "a reboot"
        )
    return Text(
        "no systemd starts it again here: to start the bots after a reboot, give the command that starts the"
        " engine a line `@reboot …` in `crontab -e`"
    )


def live_restore(*, has_systemd: bool, is_root: bool = True) -> Text:
    """Return how to enable live-restore in an engine that runs. SIGHUP has it read its file again."""
    command = "systemctl reload docker" if has_systemd else "kill -HUP $(cat /var/run/docker.pid)"
    return Text(
        'set "live-restore": true in /etc/docker/daemon.json, then run `{command}`',
        command=as_root(command, is_root=is_root),
    )


def time_service(*, has_systemd: bool, has_apt: bool, has_ntp: bool, is_root: bool = True) -> Text:
    """Return how to have the clock synchronised. `has_ntp`: systemd has a time service to switch on."""
    if has_systemd and has_ntp:
        return Text("run `{command}`", command=as_root("timedatectl set-ntp true", is_root=is_root))
    if not has_apt:
        return Text("install chrony with your system's package manager, and start it")
    install = as_root("apt install chrony", is_root=is_root)
    if has_systemd:
        return Text("run `{command}`", command=install)
    start = as_root("service chrony start", is_root=is_root)
    return Text("run `{install}`, then `{start}`", install=install, start=start)


def kernel_limits(settings: Sequence[str], *, is_root: bool) -> Text:
    """Return how to raise the kernel's limits, so that they outlive a reboot."""
    write = as_root(f"tee {SETTINGS_FILE}", is_root=is_root)
    lines = " ".join(settings)
    command = f"printf '%s\\n' {lines} | {write} && {as_root('sysctl --system', is_root=is_root)}"
    return Text("run `{command}`", command=command)


def bridge_filter(*, is_root: bool) -> Text:
    """Return how to let iptables see what containers on one bridge send each other."""
    return Text(
        "run `{load}` and `{set}`; to keep it after a reboot, write br_netfilter to"
        " /etc/modules-load.d/botfleet.conf",
        load=as_root("modprobe br_netfilter", is_root=is_root),
        set=as_root("sysctl -w net.bridge.bridge-nf-call-iptables=1", is_root=is_root),
    )


def as_root(command: str, *, is_root: bool) -> str:
    """Return the command as this user runs it with root's rights."""
    return command if is_root else f"sudo {command}"


def has_ntp() -> bool:
    """Return whether systemd has a time service that `timedatectl set-ntp true` can switch on."""
    return any(any(folder.glob("*.list")) for folder in NTP_UNITS)


def is_root() -> bool:
    """Return whether the manager runs as root."""
    return os.geteuid() == 0


def no_engine(environ: Mapping[str, str]) -> Text:
    """Return what to do where no engine answers, by the kind of endpoint that is named."""
    try:
        chosen = endpoint.of(environ)
    except EngineUnreachable:  # which says which file or context it is
        return Text("set DOCKER_CONTEXT=default, or run `docker context use default`, for the local engine")
    if not chosen.host.startswith(endpoint.LOCAL):
        undo = (
            "docker context use default"
            if chosen.named_by.startswith("docker context")
            else f"unset {chosen.named_by.partition('=')[0]}"
        )
        return Text(
            "run `{command}` for the local engine; bots on another machine are run by the manager there: see"
            " `manager host add`",
            command=undo,
        )
    if chosen.socket is None:
        return Text("unset DOCKER_HOST: it names a pipe of Windows, which this machine does not have")
    if not Path(chosen.socket).exists():
        if chosen.named_by:
            return Text("start the engine that {name} names, or unset it", name=chosen.named_by)
        return Text("start it, or run `{command}`", command=bundle.engine_command())
    if not os.access(chosen.socket, os.R_OK | os.W_OK):
        command = f"sudo usermod -aG docker {unreachable.user_name()}"
        return Text("run `{command}`, and log in again", command=command)
    return Text("run `docker info` for details")


def has_systemd() -> bool:
    """Return whether systemd runs this machine."""
    return SYSTEMD.is_dir()


def has_apt() -> bool:
    """Return whether packages are installed by apt here."""
    return shutil.which("apt-get") is not None
