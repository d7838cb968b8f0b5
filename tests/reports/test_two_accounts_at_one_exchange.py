"""Two bots on two accounts of one exchange: a config names the second one's keys, and its bot gets them."""

from __future__ import annotations

import json

import pytest

from manager.config.fleet import Fleet
from tests.builders import FLEET_NAME
from tests.fakes.sandbox import IMAGE, Sandbox

SECOND = {"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"}
ENV = "BACKPACK_KEY=k1\nBACKPACK_SECRET=s1\nBP2_KEY=k2\nBP2_SECRET=s2\n"


def fleet_toml(sandbox: Sandbox, *lines: str) -> None:
    text = "\n".join((f'name = "{FLEET_NAME}"', f'image = "{IMAGE}"', *lines))
    (sandbox.folder / "config" / "fleet.toml").write_text(text)


def env_file(sandbox: Sandbox, instance: str) -> dict[str, str]:
    content = json.loads((sandbox.folder / "volumes" / "secrets" / instance / "env.json").read_text())
    assert isinstance(content, dict)
    return content


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fleet, "is_bundled_bot", property(lambda _fleet: True))


@pytest.mark.usefixtures("bundled")
def test_each_gets_its_own_and_both_trade_one_market(sandbox: Sandbox) -> None:
    (sandbox.folder / ".env").write_text(ENV)
    own = {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"}
    sandbox.config("bp_sol_01", 5002, mode="live", exchange_config=SECOND)
    sandbox.config("bp_eth_02", 5003, mode="live", exchange_config=own, metadata={"symbol": "SOL_USDC_PERP"})
    assert 'config_variables = ["BP2_KEY", "BP2_SECRET"]' in sandbox.transcript("up")
    fleet_toml(sandbox, 'config_variables = ["BP2_KEY", "BP2_SECRET"]')
    assert "bp_sol_01: created" in sandbox.transcript("up")
    second, first = env_file(sandbox, "bp_sol_01"), env_file(sandbox, "bp_eth_02")
    assert (second["BACKPACK_KEY"], second["BACKPACK_SECRET"]) == ("k2", "s2")
    assert (first["BACKPACK_KEY"], first["BACKPACK_SECRET"]) == ("k1", "s1")
    assert "BP2_KEY" not in first


def test_a_live_bot_that_was_given_them_otherwise_keeps_that_until_a_person_restarts_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trades on the first account now, whose keys the fleet passes to every bot."""
    (sandbox.folder / ".env").write_text(ENV)
    fleet_toml(sandbox, 'config_variables = ["BP2_*"]', 'variables = ["BACKPACK_*"]')
    sandbox.config("bp_sol_01", 5002, mode="live", exchange_config=SECOND)
    sandbox.transcript("up bp_sol_01")
    monkeypatch.setattr(Fleet, "is_bundled_bot", property(lambda _fleet: True))
    sandbox.config("bp_sol_01", 5002, mode="live", exchange_config=SECOND)  # an update reads all configs anew
    assert "bp_sol_01: left alone: BACKPACK_KEY, BACKPACK_SECRET" in sandbox.transcript("up")
    assert env_file(sandbox, "bp_sol_01")["BACKPACK_KEY"] == "k1"
    sandbox.transcript("restart bp_sol_01")
    assert env_file(sandbox, "bp_sol_01")["BACKPACK_KEY"] == "k2"
    assert "left alone" not in sandbox.transcript("up bp_sol_01")
