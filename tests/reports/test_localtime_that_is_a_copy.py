"""Where /etc/localtime is a copy and no link, bots wrote UTC into their logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.fleet import time_zone
from tests.fakes.sandbox import Sandbox

TAIPEI = Path("/usr/share/zoneinfo/Asia/Taipei")


def zone_of(sandbox: Sandbox, instance: str) -> str:
    """Return the zone that a bot was given."""
    env = sandbox.folder / "volumes" / "secrets" / instance / "env.json"
    return str(json.loads(env.read_text())["TZ"])


@pytest.fixture
def copied(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine in Taipei, whose /etc/localtime somebody has copied there."""
    localtime = tmp_path / "a-copy"
    localtime.write_bytes(TAIPEI.read_bytes())
    monkeypatch.setattr(time_zone, "LOCALTIME", localtime)
    monkeypatch.setattr(time_zone, "TIMEZONE", tmp_path / "none")
    return localtime


@pytest.mark.usefixtures("copied")
def test_a_bot_has_the_machines_time(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    assert zone_of(sandbox, "bp_sol_01") == "Asia/Taipei"


def test_one_that_was_started_with_utc_keeps_it_until_its_next_start(sandbox: Sandbox, copied: Path) -> None:
    rules = copied.read_bytes()
    copied.unlink()
    sandbox.transcript("up")
    copied.write_bytes(rules)
    assert "nothing to do" in sandbox.transcript("up")
    assert zone_of(sandbox, "bp_sol_01") == "UTC"
    sandbox.transcript("restart bp_sol_01")
    assert (zone_of(sandbox, "bp_sol_01"), zone_of(sandbox, "bp_eth_02")) == ("Asia/Taipei", "UTC")
    assert "nothing to do" in sandbox.transcript("up")
