"""Say what to do in words that are true of this machine: with systemd or without, with apt or without."""

from __future__ import annotations

import shutil
from pathlib import Path

from manager.i18n import Text

SYSTEMD = Path("/run/systemd/system")
"""There where systemd is process 1; its commands may be installed where it is not."""


def live_restore(*, is_rootless: bool, has_systemd: bool) -> Text:
    """Return how to enable live-restore in an engine that runs. SIGHUP has it read its file again."""
    if is_rootless:
        command = (
            "systemctl --user reload docker"
            if has_systemd
            else "kill -HUP $(cat $XDG_RUNTIME_DIR/docker.pid)"
        )
        return Text(
            'set "live-restore": true in ~/.config/docker/daemon.json, then run `{command}`', command=command
        )
    command = "systemctl reload docker" if has_systemd else "kill -HUP $(cat /var/run/docker.pid)"
    return Text('set "live-restore": true in /etc/docker/daemon.json, then run `{command}`', command=command)


def time_service(*, has_systemd: bool, has_apt: bool) -> Text:
    """Return how to have the clock synchronised."""
    if has_systemd and has_apt:
        return Text("run `apt install chrony` or `timedatectl set-ntp true`")
    if has_systemd:
        return Text("run `timedatectl set-ntp true`, or install chrony with your system's package manager")
    if has_apt:
        return Text("run `apt install chrony`, then `service chrony start`")
    return Text("install chrony with your system's package manager, and start it")


def has_systemd() -> bool:
    """Return whether systemd runs this machine."""
    return SYSTEMD.is_dir()


def has_apt() -> bool:
    """Return whether packages are installed by apt here."""
    return shutil.which("apt-get") is not None
