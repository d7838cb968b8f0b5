"""A live instance of an exchange of which not all is verified: nothing new without consent, nothing stopped."""

from __future__ import annotations

import json

from tests.builders import FLEET_NAME
from tests.fakes.sandbox import Sandbox

METADATA = {"exchange": "lighter", "symbol": "SOL"}
KEYS = {"api_key": "${LIGHTER_PRIVATE_KEY}", "secret_key": "${LIGHTER_SECRET}"}
WHY = "lighter perp is traded live only if you accept what is unverified"
LINE = 'accept_unverified = ["lighter"]'


def bundled(sandbox: Sandbox, *lines: str) -> None:
    """Have the fleet run the bundled bot, whose image has this name too."""
    (sandbox.folder / "config" / "fleet.toml").write_text("\n".join((f'name = "{FLEET_NAME}"', *lines)))


def lighter(sandbox: Sandbox, *lines: str) -> None:
    (sandbox.folder / ".env").write_text("LIGHTER_PRIVATE_KEY=0123456789abcdef\nLIGHTER_SECRET=f0f0f0f0\n")
    bundled(sandbox, *lines)
    sandbox.config("bp_sol_01", 5002, mode="live", metadata=METADATA, exchange_config=KEYS)


def env_file(sandbox: Sandbox) -> dict[str, str]:
    content: dict[str, str] = json.loads(
        (sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json").read_text()
    )
    return content


def test_no_container_is_made_without_consent(sandbox: Sandbox) -> None:
    lighter(sandbox)
    output = sandbox.transcript("up")
    assert "bp_sol_01: left alone: its config is refused: config/active/bp_sol_01.json: " in output
    assert WHY in output
    assert LINE in output
    assert f"{FLEET_NAME}-bp_sol_01" not in sandbox.states()
    assert WHY in sandbox.transcript("up --dry-run")
    assert WHY in sandbox.transcript("config --check")
    assert sandbox.exit_code == 4


def test_with_consent_it_is_made_and_its_bot_is_told(sandbox: Sandbox) -> None:
    lighter(sandbox, LINE)
    assert "bp_sol_01: created" in sandbox.transcript("up")
    assert env_file(sandbox)["GRIDBOT_ACCEPT_UNVERIFIED"] == "lighter"
    made = sandbox.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]
    assert "GRIDBOT_ACCEPT_UNVERIFIED" not in json.dumps(made)


def test_what_an_older_manager_made_goes_on_and_starts_again(sandbox: Sandbox) -> None:
    lighter(sandbox, LINE)
    sandbox.transcript("up")
    bundled(sandbox)
    before = env_file(sandbox)
    assert "nothing to do" in sandbox.transcript("up")
    assert "bp_sol_01: restarted (requested" in sandbox.transcript("restart bp_sol_01")
    sandbox.transcript("stop bp_sol_01")
    assert "bp_sol_01: started (not running" in sandbox.transcript("start bp_sol_01")
    assert env_file(sandbox) == before
    sandbox.new_image()
    assert "stays as it was made" in sandbox.transcript("up --recreate bp_sol_01")
    sandbox.transcript("halt")
    assert "running" not in sandbox.states().values()
