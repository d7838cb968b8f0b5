"""No unit test reads the machine it runs on: not its ports, its home, its time zone, its settings or its
engine.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.fleet import host, time_zone
from tests.unit import machine

KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
KEPT_BEGINNINGS = ("PYTEST_", "PYTHON", "COVERAGE_", "COV_")
_numbers = itertools.count()
ZONE = "NPT-05:45"
"""No offset of whole hours, and none that a test machine has."""


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all homes. pytest reads a whole folder for each numbered one that it makes there, and
    thousands of tests have a home.
    """
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def own_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment in which nothing is set and nothing is there: an empty home, no engine, every port
    free.
    """
    home = homes / str(next(_numbers))
    home.mkdir(mode=0o700)
    for name in os.environ:
        if name not in KEPT and not name.startswith(KEPT_BEGINNINGS):
            monkeypatch.delenv(name)
    ours = {
        "HOME": home,
        "USER": "somebody",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "TZ": ZONE,
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_CONFIG_DIRS": home / "etc",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_RUNTIME_DIR": home / "run",
        "DOCKER_CONFIG": home / ".docker",
        "DOCKER_HOST": f"unix://{home}/no-engine.sock",
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(host, "is_port_free", lambda _address, _port: True)
    monkeypatch.setattr(host, "PORTS", home)
    monkeypatch.setattr(time_zone, "LOCALTIME", home / "localtime")
    monkeypatch.setattr(time_zone, "TIMEZONE", home / "timezone")
    time.tzset()
    with machine.guarded() as touched:
        yield home
    monkeypatch.undo()
    time.tzset()
    assert not touched, f"a unit test reads the machine: {', '.join(touched)}"
