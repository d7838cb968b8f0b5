"""Old bots and new ones in one folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from manager.engine.containers import observe
from manager.fleet import observe as observing
from manager.fleet import old_daemon_guard, project
from tests.builders import FLEET_NAME, a_config, write_config
from tests.fleet import eventually

OLD_BOT = "import time; print('up', flush=True); time.sleep(60)"


def warning(folder: Path) -> str:
    observed = observing.assemble(project.read(folder), observe([], FLEET_NAME), observing.NO_IMAGE)
    return str(old_daemon_guard.still_running(observed, ["bp_sol_01"]).get("bp_sol_01", ""))


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
