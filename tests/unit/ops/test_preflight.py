"""What must be sound before an instance starts: its own file, what it shares with others, what trades
already.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from manager.config.spec import config_hash
from manager.engine import labels
from manager.engine.containers import observe
from manager.errors import ConfigError
from manager.fleet import observe as observing
from manager.fleet import project as projects
from manager.fleet import state_file, upgrade_records
from manager.fleet.state_file import RejectedRevision
from manager.fleet.upgrade_records import UpgradeRecord
from manager.ops.checks import preflight
from manager.ops.rollout.rollback import account_problem
from tests.builders import FLEET_NAME, a_config, a_row, write_config

LIVE: dict[str, Any] = {"mode": "live"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKPACK_KEY", "BACKPACK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "config" / "active").mkdir(parents=True)
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\n')
    (tmp_path / ".env").write_text("BACKPACK_KEY=k1\nBACKPACK_SECRET=s1\n")


def refusal(project: Path, *named: str, rows: tuple[dict[str, Any], ...] = ()) -> str:
    """Why these instances (none: all) may not start; empty if they may."""
    observed = observing.assemble(projects.read(project), observe(rows, FLEET_NAME), observing.NO_IMAGE)
    try:
        if named:
            preflight.require_sound(observed, list(named))
        else:
            preflight.require_all_sound(observed)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("named", [("a",), ("b",), ()])
def test_a_shared_account_or_port_keeps_either_from_starting(tmp_path: Path, named: tuple[str, ...]) -> None:
    write_config(tmp_path, a_config("a", 5001, **LIVE), stem="a")
    write_config(tmp_path, a_config("b", 5002, **LIVE), stem="b")
    write_config(tmp_path, a_config("c", 5003), stem="c")
    for _time in ("loaded", "cached"):
        assert "with the same credentials as config/active/a.json" in refusal(tmp_path, *named)
        assert refusal(tmp_path, "c") == ""
    write_config(tmp_path, a_config("b", 5001), stem="b")
    assert "5001 is also used by config/active/a.json" in refusal(tmp_path, *named)


def test_a_broken_file_beside_switches_no_check_off(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("a", 5001, **LIVE), stem="a")
    write_config(tmp_path, a_config("b", 5002, **LIVE), stem="b")
    write_config(tmp_path, "{", stem="worse")
    assert "with the same credentials" in refusal(tmp_path, "a")
    (tmp_path / ".env").unlink()
    assert "BACKPACK_KEY is not set, but live mode requires it" in refusal(tmp_path, "a")


def test_an_orphan_that_trades_live_keeps_its_account(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("new", 5002, **LIVE), stem="new")
    write_config(tmp_path, a_config("paper", 5003), stem="paper")
    own = {labels.MODE: "live", labels.EXCHANGE: "backpack", labels.SYMBOL: "SOL_USDC_PERP"}
    up = a_row("old", labels=own)
    for named in ((), ("new",)):
        assert f"container {FLEET_NAME}-old already trades SOL_USDC_PERP live" in refusal(
            tmp_path, *named, rows=(up,)
        )
    assert refusal(tmp_path, "paper", rows=(up,)) == ""
    assert refusal(tmp_path, rows=(a_row("old", "exited", labels=own),)) == ""
    assert refusal(tmp_path, rows=(a_row("old", labels={**own, labels.MODE: "paper"}),)) == ""
    assert refusal(tmp_path, rows=(a_row("new", labels=own),)) == ""
    env = tmp_path / "volumes" / "secrets" / "old" / "env.json"
    env.parent.mkdir(parents=True)
    for theirs, is_refused in (
        ({"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1"}, True),
        ({"BACKPACK_KEY": "k2"}, False),
    ):
        env.write_text(json.dumps(theirs))
        assert bool(refusal(tmp_path, rows=(up,))) == is_refused
        assert "k1" not in refusal(tmp_path, rows=(up,))


def test_two_that_had_one_account_one_after_the_other_are_not_brought_back_together(tmp_path: Path) -> None:
    own = {labels.MODE: "live", labels.EXCHANGE: "backpack", labels.SYMBOL: "SOL_USDC_PERP"}
    paper = {**own, labels.MODE: "paper"}
    observed = observing.assemble(
        projects.read(tmp_path),
        observe([a_row("a", labels=paper), a_row("b", labels=paper)], FLEET_NAME),
        observing.NO_IMAGE,
    )
    step = UpgradeRecord("done", "old", {"Labels": own}, "sha256:old", "h0", "sha256:one", "h1", "now")
    for name in "ab":
        kept = upgrade_records.kept_env(observed.project.fleet, name)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1"}))
    assert account_problem("a", step, observed, {"a": step}) is None
    assert f"{FLEET_NAME}-b already trades" in str(
        account_problem("a", step, observed, {"a": step, "b": step})
    )
    paper_step = step._replace(definition={"Labels": paper})
    assert account_problem("a", step, observed, {"a": step, "b": paper_step}) is None
    assert account_problem("a", paper_step, observed, {"a": paper_step, "b": step}) is None


def test_one_that_was_put_back_is_checked_with_the_account_that_it_has(tmp_path: Path) -> None:
    """Its config has keys of its own by now; its container starts with those of then, which another one
    trades with.
    """
    sound = base64.b64encode(bytes(32)).decode()
    keys = f"OTHER_KEY={sound}\nOTHER_SECRET={sound}\n"
    (tmp_path / ".env").write_text(f"BACKPACK_KEY=k1\nBACKPACK_SECRET=s1\n{keys}")
    write_config(tmp_path, a_config("a", 5001, **LIVE), stem="a")
    (tmp_path / "config" / "fleet.toml").write_text('config_variables = ["OTHER_*"]\n')
    other = {"api_key": "${OTHER_KEY}", "secret_key": "${OTHER_SECRET}"}
    write_config(tmp_path, a_config("b", 5002, **LIVE, exchange_config=other), stem="b")
    own = {labels.MODE: "live", labels.EXCHANGE: "backpack", labels.SYMBOL: "SOL_USDC_PERP"}
    rows = (a_row("a", labels=own), a_row("b", "exited", labels={**own, labels.CONFIG_HASH: "h0"}))
    for name in "ab":
        env = tmp_path / "volumes" / "secrets" / name / "env.json"
        env.parent.mkdir(parents=True)
        env.write_text(json.dumps({"BACKPACK_KEY": "k1", "BACKPACK_SECRET": "s1"}))
    assert refusal(tmp_path, "b", rows=rows) == ""
    project = projects.read(tmp_path)
    refused = RejectedRevision(config_hash(project.specs["b"], project.fleet), "", "it is failed")
    project.fleet.state_dir.mkdir()
    state_file.save(project.fleet.state_file, project.fleet_state.with_refused({"b": refused}))
    assert f"container {FLEET_NAME}-a already trades" in refusal(tmp_path, "b", rows=rows)
    down = (a_row("a", "exited", labels=own), rows[1])
    assert refusal(tmp_path, "b", rows=down) == ""
    assert f"container {FLEET_NAME}-b already trades" in refusal(tmp_path, "a", "b", rows=down)
    observed = observing.assemble(projects.read(tmp_path), observe(rows, FLEET_NAME), observing.NO_IMAGE)
    assert observed.conflicts(["b"], is_upgrade=True) == [], "an upgrade gives it the account of its config"
    write_config(tmp_path, a_config("b", 5002, **LIVE), stem="b")
    project = projects.read(tmp_path)
    refused = RejectedRevision(config_hash(project.specs["b"], project.fleet), "", "it is failed")
    state_file.save(project.fleet.state_file, project.fleet_state.with_refused({"b": refused}))
    (tmp_path / "volumes" / "secrets" / "b" / "env.json").write_text(json.dumps({"BACKPACK_KEY": "k2"}))
    observed = observing.assemble(projects.read(tmp_path), observe(rows, FLEET_NAME), observing.NO_IMAGE)
    assert observed.conflicts(["b"]) == []
    (problem,) = observed.conflicts(["b"], is_upgrade=True)
    assert f"container {FLEET_NAME}-a already trades" in str(problem)
