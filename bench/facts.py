"""Tell what machine this is: without it no figure means anything."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.engine import Api
from bench.shell import CommandFailed, run


def facts(api: Api) -> list[tuple[str, str]]:
    """Name and value, in the order in which they are shown."""
    info: dict[str, Any] = api.call("GET", "/info")
    version: dict[str, Any] = api.call("GET", "/version")
    return [
        ("date", time.strftime("%Y-%m-%d %H:%M %Z")),
        ("CPU", f"{os.cpu_count()} × {_cpu_model()}"),
        ("RAM", f"{info['MemTotal'] / (1 << 30):.1f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}, cgroup v{info.get('CgroupVersion', '1')}"),
        ("distribution", str(info.get("OperatingSystem", ""))),
        ("engine", f"{version['Version']}, API {version['ApiVersion']}, storage {info.get('Driver')}"),
        ("containerd, runc", ", ".join(_components(version))),
        ("docker CLI", _first_line("docker", "--version")),
        ("compose", _first_line("docker", "compose", "version", "--short")),
        ("python", platform.python_version()),
        ("load before", " ".join(f"{load:.2f}" for load in os.getloadavg())),
    ]


def _cpu_model() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.machine()


def _components(version: dict[str, Any]) -> list[str]:
    versions = {component["Name"]: component["Version"] for component in version.get("Components") or ()}
    return [versions[name] for name in ("containerd", "runc") if name in versions]


def _first_line(*command: str) -> str:
    try:
        return run(command).out.strip().splitlines()[0]
    except (CommandFailed, OSError, IndexError):
        return "none"
