"""Asks the engine, and the client's own programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from typing import Any

from manager.engine import client, docker_cli, http_socket
from manager.errors import ManagerError
from manager.monitor.doctor.facts import Client, Engine

ANSWER_S = 5
PACKAGE = "botfleet"


class Programs:
    """The versions of Compose and buildx, asked for while other things are looked at: they take 0.1 s each."""

    def __init__(self) -> None:
        self._running = {
            name: _started("docker", name, "version", *words)
            for name, words in (("compose", ("--short",)), ("buildx", ()))
        }

    def client(self) -> Client:
        """Waits for the answers."""
        buildx = _buildx_version(_said(self._running["buildx"]))
        return Client(
            endpoint=endpoint(os.environ),
            compose=_said(self._running["compose"]),
            buildx=buildx,
            builds_without=None if buildx else _builder(),
            buildx_remedy=docker_cli.buildx_remedy(docker_cli.os_release(), docker_cli.is_docker_ce()),
            python=".".join(map(str, sys.version_info[:3])),
            missing_packages=missing_packages(),
        )


def _builder() -> str | None:
    try:
        return docker_cli.builder()
    except ManagerError:
        return None


def endpoint(environ: Mapping[str, str]) -> str:
    """Where the docker CLI finds its engine."""
    found = http_socket.local_socket(environ)
    return f"unix://{found}" if found else environ.get("DOCKER_HOST", "")


def missing_packages() -> tuple[str, ...]:
    """What the manager needs and cannot import, by the packages' own records."""
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return ()
    names = [_name(each) for each in wanted if "extra ==" not in each]
    return tuple(name for name in names if not _is_installed(name))


def look(engine: client.Engine) -> Engine:
    """Two calls. Raises EngineError."""
    version = engine.version()
    began = time.time()
    info = engine.info()
    return read(version, info, (began + time.time()) / 2)


def read(version: Mapping[str, Any], info: Mapping[str, Any], now: float) -> Engine:
    """What the engine says of itself. `now`: our clock in the middle of the call."""
    return Engine(
        version=str(version.get("Version", "?")),
        api=str(version.get("ApiVersion", "?")),
        storage_driver=str(info.get("Driver", "?")),
        log_driver=str(info.get("LoggingDriver", "?")),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        cgroup=str(info.get("CgroupVersion") or "1"),
        is_rootless="name=rootless" in (info.get("SecurityOptions") or []),
        cores=int(info.get("NCPU") or 1),
        memory=int(info.get("MemTotal") or 0),
        root_dir=str(info.get("DockerRootDir", "")),
        clock_offset=_offset(str(info.get("SystemTime", "")), now),
        limits_memory=bool(info.get("MemoryLimit", True)),
        limits_pids=bool(info.get("PidsLimit", True)),
        filters_bridge=bool(info.get("BridgeNfIptables", True)),
        warnings=tuple(each.removeprefix("WARNING: ") for each in info.get("Warnings") or []),
    )


def _offset(said: str, now: float) -> float | None:
    """The engine's clock less ours; it gives nanoseconds, which datetime cannot read."""
    whole, _dot, rest = said.partition(".")
    zone = "".join(rest.lstrip("0123456789"))
    fraction = rest[: len(rest) - len(zone)][:6]
    try:
        return datetime.fromisoformat(f"{whole}.{fraction or 0:0<6}{zone or '+00:00'}").timestamp() - now
    except ValueError:
        return None


def _started(*words: str) -> subprocess.Popen[str] | None:
    try:
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return None


def _said(running: subprocess.Popen[str] | None) -> str | None:
    """What a program printed; None for one that is not there, failed or hangs."""
    if running is None:
        return None
    try:
        said, _err = running.communicate(timeout=ANSWER_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        return None
    return said.strip() if running.returncode == 0 else None


def _buildx_version(said: str | None) -> str | None:
    words = (said or "").split()
    return words[1] if len(words) > 1 else None


def _name(requirement: str) -> str:
    """`docker<8,>=7.1` → `docker`."""
    return (
        requirement.partition(";")[0]
        .split("<")[0]
        .split(">")[0]
        .split("=")[0]
        .split("!")[0]
        .split("~")[0]
        .split("[")[0]
        .strip()
    )


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
