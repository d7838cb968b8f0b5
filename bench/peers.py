"""Run pm2 and supervisord with the same number of the same bots, where they can be installed, into a
temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Contender, Skipped
from bench.project import BOT
from bench.shell import CommandFailed, run

INSTALL_S = 300


@dataclass(frozen=True)
class Peer:
    """Hold a process manager whose bots are up."""

    name: str
    list_: Contender
    status: Contender


@contextmanager
def pm2(folder: Path, size: int, first_port: int) -> Iterator[Peer]:
    """Run pm2 with `size` bots."""
    home = folder / "pm2"
    program = home / "node_modules" / ".bin" / "pm2"
    if not program.exists():
        if shutil.which("npm") is None:
            raise Skipped("there is no npm to install it with")
        home.mkdir(exist_ok=True)
        _install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), "pm2"])
    environ = {"PM2_HOME": str(home / "home"), "NO_UPDATE_NOTIFIER": "1"}
    apps = [
        {
            "name": f"bot_{number:03}",
            "script": str(BOT / "run.py"),
            "interpreter": sys.executable,
            "env": {"WEB_PORT": str(first_port + number)},
        }
        for number in range(size)
    ]
    (home / "apps.json").write_text(json.dumps({"apps": apps}))
    version = json.loads((home / "node_modules" / "pm2" / "package.json").read_text())["version"]
    try:
        run([program, "start", home / "apps.json"], environ=environ)
        yield Peer(
            f"pm2 {version}",
            lambda: run([program, "list"], environ=environ).seconds,
            lambda: run([program, "describe", "bot_000"], environ=environ).seconds,
        )
    finally:
        with suppress(CommandFailed):
            run([program, "kill"], environ=environ)


@contextmanager
def supervisord(folder: Path, size: int, first_port: int) -> Iterator[Peer]:
    """Run supervisord with `size` bots."""
    home = folder / "supervisord"
    control = home / "bin" / "supervisorctl"
    if not control.exists():
        _install([sys.executable, "-m", "venv", str(home)])
        _install(
            [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "supervisor"]
        )
    config = home / "supervisord.conf"
    config.write_text(_supervisord_conf(home, size, first_port))
    version = run([home / "bin" / "supervisord", "--version"]).out.strip()
    talk = [str(control), "-c", str(config)]
    try:
        run([home / "bin" / "supervisord", "-c", config])
        yield Peer(
            f"supervisord {version}",
            lambda: run([*talk, "status"], codes=(0, 3)).seconds,
            lambda: run([*talk, "status", "bot_000"], codes=(0, 3)).seconds,
        )
    finally:
        with suppress(CommandFailed):
            run([*talk, "shutdown"])


def processes_in(folder: Path) -> list[str]:
    """Return the programs whose working directory is in this folder, without ourselves."""
    names = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                names.append((entry / "comm").read_text().strip())
    return names


def _install(command: list[str]) -> None:
    try:
        run(command, timeout=INSTALL_S)
    except CommandFailed as why:
        raise Skipped(f"cannot be installed: {why}") from why


def _supervisord_conf(home: Path, size: int, first_port: int) -> str:
    socket = home / "control.sock"
    sections = [
        f"[unix_http_server]\nfile={socket}",
        f"[supervisord]\nlogfile={home}/log\npidfile={home}/pid\nchildlogdir={home}\nminfds=4096",
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        f"[supervisorctl]\nserverurl=unix://{socket}",
    ]
    sections += [
        f"[program:bot_{number:03}]\ncommand={sys.executable} {BOT / 'run.py'}\n"
        f'environment=WEB_PORT="{first_port + number}"\nstartsecs=0'
        for number in range(size)
    ]
    return "\n\n".join(sections) + "\n"
