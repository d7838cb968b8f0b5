"""Probe the engine and the client's programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from typing import Any

from manager.engine import client, docker_cli
from manager.engine.client import security_modes
from manager.engine.endpoint import client_folder
from manager.engine.endpoint import of as endpoint_of
from manager.errors import EngineUnreachable, ManagerError
from manager.monitor.doctor.facts import ClientFacts, EngineFacts
from manager.util import bundle, strict_json

PROGRAM_TIMEOUT_S = 5
PACKAGE = "botfleet"


class ClientPrograms:
    """Determine the versions of Compose and buildx concurrently with other probes: each takes 0.1 s."""

    def __init__(self) -> None:
        self._running = {
            name: _start("docker", name, "version", *options)
            for name, options in (("compose", ("--short",)), ("buildx", ()))
        }

    def client(self) -> ClientFacts:
        """Wait for the programs, and return the facts of the client's side."""
        buildx = _buildx_version(_output(self._running["buildx"]))
        distribution = docker_cli.os_release(), docker_cli.is_docker_ce()
        return ClientFacts(
            endpoint=endpoint(os.environ),
            compose=_output(self._running["compose"]),
            buildx=buildx,
            builder=None if buildx else _builder(),
            buildx_remedy=docker_cli.buildx_remedy(*distribution),
            compose_remedy=docker_cli.compose_remedy(*distribution),
            python=".".join(map(str, sys.version_info[:3])),
            missing_packages=missing_packages(),
            is_from_wheel=bundle.folder() == bundle.INSTALLED,
            proxies_file=proxies_file(os.environ),
        )


def _builder() -> str | None:
    try:
        return docker_cli.builder()
    except ManagerError:
        return None


def endpoint(environ: Mapping[str, str]) -> str:
    """Return the address at which the docker CLI finds its engine."""
    try:
        return endpoint_of(environ).host
    except EngineUnreachable:
        return environ.get("DOCKER_HOST", "")


def proxies_file(environ: Mapping[str, str]) -> str:
    """Return the file of the docker command's settings if it has proxies for containers; else empty."""
    folder = client_folder(environ)
    if folder is None:
        return ""
    try:
        settings = strict_json.read(folder / "config.json")
    except strict_json.JsonFault:
        return ""
    has_proxies = isinstance(settings, dict) and bool(settings.get("proxies"))
    return str(folder / "config.json") if has_proxies else ""


def missing_packages() -> tuple[str, ...]:
    """Return the names of required packages that are not installed."""
    try:
        requirements = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return ()
    names = [_name(requirement) for requirement in requirements if "extra ==" not in requirement]
    return tuple(name for name in names if not _is_installed(name))


def probe(engine: client.Engine) -> EngineFacts:
    """Return the engine's facts. Makes two API calls; raises EngineError."""
    version = engine.version()
    started = time.time()
    info = engine.info()
    facts = parse_answers(version, info, (started + time.time()) / 2)
    return facts._replace(is_anothers=facts.is_rootless and os.geteuid() == 0)


def parse_answers(version: Mapping[str, Any], info: Mapping[str, Any], now: float) -> EngineFacts:
    """Return the facts from the engine's answers. `now`: our clock at the middle of the second call."""
    return EngineFacts(
        version=str(version.get("Version", "?")),
        api=str(version.get("ApiVersion", "?")),
        storage_driver=str(info.get("Driver", "?")),
        log_driver=str(info.get("LoggingDriver", "?")),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        cgroup=str(info.get("CgroupVersion") or "1"),
        uses_selinux="selinux" in security_modes(info),
        is_desktop="Docker Desktop" in str(info.get("OperatingSystem", "")),
        is_podman=any(part.get("Name") == "Podman Engine" for part in version.get("Components") or []),
        is_rootless="rootless" in security_modes(info),
        maps_users="userns" in security_modes(info),
        cores=int(info.get("NCPU") or 1),
        memory=int(info.get("MemTotal") or 0),
        root_dir=str(info.get("DockerRootDir", "")),
        clock_offset=_offset(str(info.get("SystemTime", "")), now),
        limits_memory=bool(info.get("MemoryLimit", True)),
        limits_pids=bool(info.get("PidsLimit", True)),
        limits_swap=bool(info.get("SwapLimit", True)),
        filters_bridge=bool(info.get("BridgeNfIptables", True)),
        has_cgroups=info.get("CgroupDriver") != "none",
        warnings=tuple(warning.removeprefix("WARNING: ") for warning in info.get("Warnings") or []),
    )


def _offset(system_time: str, now: float) -> float | None:
    """Return the engine's clock minus ours, in seconds.

    It reports nanoseconds, which datetime cannot parse.
    """
    seconds, _dot, rest = system_time.partition(".")
    zone = "".join(rest.lstrip("0123456789"))
    fraction = rest[: len(rest) - len(zone)][:6]
    try:
        return datetime.fromisoformat(f"{seconds}.{fraction or 0:0<6}{zone or '+00:00'}").timestamp() - now
    except ValueError:
        return None


def _start(*argv: str) -> subprocess.Popen[str] | None:
    try:
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return None


def _output(process: subprocess.Popen[str] | None) -> str | None:
    """Return a program's output; None if it is missing, failed or did not finish in time."""
    if process is None:
        return None
    try:
        output, _err = process.communicate(timeout=PROGRAM_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return output.strip() if process.returncode == 0 else None


def _buildx_version(output: str | None) -> str | None:
    words = (output or "").split()
    return words[1] if len(words) > 1 else None


def _name(requirement: str) -> str:
    """Return the name of a requirement: of `docker<8,>=7.1`, `docker`."""
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
