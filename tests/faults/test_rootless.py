"""A rootless engine, started for the test by a user of its own: all that a fleet needs of an engine."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ports
from tests.builders import a_config, write_config
from tests.faults.conftest import Note
from tests.faults.engines import needs_root
from tests.faults.rootless import UID, RootlessEngine, a_rootless_engine
from tests.fleet import built

pytestmark = [pytest.mark.engine, pytest.mark.long_form, needs_root]

WAIT_S = 240
BOT = "one"


def test_a_fleet_lives_on_a_rootless_engine(note: Note) -> None:
    image = built("bot")
    with a_rootless_engine(image) as engine:
        folder = _make_project(engine, image)
        try:
            _starts_and_is_seen(folder, engine)
            _drift_is_mended(folder, engine)
            _stands_still_and_goes_on(folder, engine)
            _outlives_the_end_of_its_engine(folder, engine)
        finally:
            engine.manager(folder, "down", code=None)
        assert not engine.docker("ps", "--all", "--quiet")
        _root_is_refused(folder, engine)
    note(
        "a rootless engine", "one of a user of its own", 1, "a fleet starts, is mended, halted and backed up"
    )


def _make_project(engine: RootlessEngine, image: str) -> Path:
    """Return the folder of a project of its user, whom it lets through."""
    name = engine.namespace
    folder = engine.folder / "home" / "project"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "fleet.toml").write_text(f'name = "{name}"\nvariables = ["GRIDBOT_*"]\n')
    daemon = {"web_port": ports.reserve(1), "restart_delay": 1, "health_check_interval": 1}
    write_config(folder, a_config(BOT, None, daemon_config=daemon), BOT)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, UID, UID)
    engine.docker("tag", image, f"{name}-bot:local")
    return folder


def _starts_and_is_seen(folder: Path, engine: RootlessEngine) -> None:
    done = engine.manager(folder, "up", "--wait")
    assert "the engine enforces no memory or process limits" in done.err
    assert "enforces no" not in engine.manager(folder, "up").err
    assert "1 of 1 instance is running" in (printed := engine.manager(folder, "doctor", code=1).out)
    assert "the engine runs without cgroups: no limit is enforced" in printed
    (row,) = json.loads(engine.manager(folder, "ps", "--json").out)
    assert row["state"] == "running"
    exported = json.loads((folder / "volumes" / "logs" / "instances.json").read_text())[BOT]
    for pid in (exported["pid"], exported["bot_pid"]):
        assert Path("/proc", str(pid)).stat().st_uid == UID, "the pids are those of the machine"
    for path in (folder / "volumes").rglob("*"):
        assert path.lstat().st_uid == UID, path
    secrets = folder / "volumes" / "secrets" / BOT
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert "total: 1 running" in engine.manager(folder, "stats").out


def _drift_is_mended(folder: Path, engine: RootlessEngine) -> None:
    container = f"{engine.namespace}-{BOT}"
    engine.docker("network", "disconnect", "-f", f"{engine.namespace}_default", container)
    assert f"{BOT}: recreate: not on its network" in engine.manager(folder, "plan").out
    assert f"{BOT}: recreated (not on its network" in engine.manager(folder, "up", "--wait").out
    engine.docker("update", "--restart=no", container)
    assert f"{BOT}: updated (not with its restart policy" in engine.manager(folder, "up").out
    assert "nothing to do" in engine.manager(folder, "up").out


def _stands_still_and_goes_on(folder: Path, engine: RootlessEngine) -> None:
    assert f"{BOT}: stopped" in engine.manager(folder, "halt").out
    assert "halted" in engine.manager(folder, "ps").out
    assert f"{BOT}: started" in engine.manager(folder, "resume").out
    assert f"{BOT}: restarted" in engine.manager(folder, "restart", BOT).out
    assert "backup-" in engine.manager(folder, "backup").out


def _outlives_the_end_of_its_engine(folder: Path, engine: RootlessEngine) -> None:
    """Its bots end with it, and run again with it."""
    engine.stop()
    assert "no Docker Engine answers" in engine.manager(folder, "ps", code=5).err
    engine.start()
    _wait_until(lambda: " running " in engine.manager(folder, "ps").out, "the bot does not run again")
    engine.kill(everything=True)
    engine.start()
    _wait_until(lambda: " running " in engine.manager(folder, "ps").out, "the bot does not run again")


def _root_is_refused(folder: Path, engine: RootlessEngine) -> None:
    done = engine.manager(folder, "up", code=1, as_root=True)
    (error,) = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert "rootless" in error
    assert not engine.docker("ps", "--all", "--quiet")


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(1)
