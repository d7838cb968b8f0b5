"""Old bots and new ones in one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from manager.engine.containers import observe
from manager.fleet import import_records, instances_json, old_daemon_guard, project
from manager.fleet import observe as observing
from manager.fleet.status import IN_OTHER_CONTAINER
from tests.builders import FLEET_NAME, a_config, write_config
from tests.fleet import eventually

OLD_BOT = "import time; print('up', flush=True); time.sleep(60)"


def warning(folder: Path, *, is_elsewhere: bool = False) -> str:
    """Return why it must not be started. `is_elsewhere`: a container of ours, of another name, runs it."""
    snapshot = observing.assemble(project.read(folder), observe([], FLEET_NAME), observing.NO_IMAGE)
    if is_elsewhere:
        statuses = {
            name: one._replace(detail=IN_OTHER_CONTAINER)
            for name, one in snapshot.plan_input.statuses.items()
        }
        snapshot = snapshot._replace(plan_input=snapshot.plan_input._replace(statuses=statuses))
    return str(old_daemon_guard.still_running(snapshot, ["bp_sol_01"]).get("bp_sol_01", ""))


def test_an_old_bot_without_a_record_is_seen_in_a_folder_that_both_share(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\ndata_dir = "."\n')
    write_config(tmp_path, a_config("bp_sol_01"))
    (tmp_path / "run.py").write_text(OLD_BOT)
    words = [sys.executable, "run.py", "--exchange", "backpack", "--symbol", "SOL_USDC_PERP"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == b"up\n"
        assert warning(tmp_path) == "", "it is nobody's business where the old system never was"
        (tmp_path / "core").mkdir()
        (tmp_path / "core" / "daemon_manager.py").touch()
        assert f"(processes {bot.pid})" in warning(tmp_path)
        bot.kill()
    eventually(lambda: warning(tmp_path) == "", 10, "it is gone")


@pytest.mark.parametrize("place", ["volumes/logs/instances.json", instances_json.OLD_PLACE])
def test_a_process_that_either_registry_names_is_seen(tmp_path: Path, place: str | Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n')
    write_config(tmp_path, a_config("bp_sol_01"))
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"bp_sol_01": {"pid": os.getpid()}}))
    seen = warning(tmp_path)
    assert f"is run by process {os.getpid()}, which is not in a container of this fleet (see {place})" in seen
    assert warning(tmp_path, is_elsewhere=True) == "", "it is the bot of that container"


def test_a_bot_of_the_folder_that_it_was_imported_from_is_seen(tmp_path: Path) -> None:
    """Its old daemon can be started again there, and trades on the same account."""
    here, old = tmp_path / "desk", tmp_path / "old"
    (here / "config").mkdir(parents=True)
    (here / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n')
    write_config(here, a_config("bp_sol_01"))
    config = write_config(old, a_config("bp_sol_01"))
    (old / "run.py").write_text(OLD_BOT)
    words = [sys.executable, "run.py", "--exchange", "backpack", "--symbol", "SOL_USDC_PERP"]
    with subprocess.Popen(words, cwd=old, stdout=subprocess.PIPE) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline() == b"up\n"
        before = warning(here)
        record = import_records.Import(str(old), str(config.relative_to(old)), "logs/bp_sol_01", [])
        import_records.save(project.read(here).fleet, {"bp_sol_01": record})
        after = warning(here)
        bot.kill()
    assert before == "", "it was not imported"
    assert f"run by the old system in {old} (processes {bot.pid})" in after
