"""Say what to do in words that are true of this machine: with systemd or without, with apt or without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from manager.engine import endpoint
from manager.errors import EngineUnreachable
from manager.i18n import Text
from manager.util import bundle

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
        return Text("run `usermod -aG docker USER` as root and log in again")
    return Text("run `docker info` for details")


def has_systemd() -> bool:
    """Return whether systemd runs this machine."""
    return SYSTEMD.is_dir()


def has_apt() -> bool:
    """Return whether packages are installed by apt here."""
    return shutil.which("apt-get") is not None
