"""A live instance of an exchange of which not all is verified: nothing new without consent, nothing stopped."""

from __future__ import annotations

import json

from tests.builders import FLEET_NAME
from tests.fakes.desk import Desk

METADATA = {"exchange": "lighter", "symbol": "SOL"}
KEYS = {"api_key": "${LIGHTER_PRIVATE_KEY}", "secret_key": "${LIGHTER_SECRET}"}
WHY = "lighter perp is traded live only if you accept what is unverified"
LINE = 'accept_unverified = ["lighter"]'


def bundled(desk: Desk, *lines: str) -> None:
    """Have the fleet run the bundled bot, whose image has this name too."""
    (desk.folder / "config" / "fleet.toml").write_text("\n".join((f'name = "{FLEET_NAME}"', *lines)))


def lighter(desk: Desk, *lines: str) -> None:
    (desk.folder / ".env").write_text("LIGHTER_PRIVATE_KEY=0123456789abcdef\nLIGHTER_SECRET=f0f0f0f0\n")
    bundled(desk, *lines)
    desk.config("bp_sol_01", 5002, mode="live", metadata=METADATA, exchange_config=KEYS)


def env_file(desk: Desk) -> dict[str, str]:
    content: dict[str, str] = json.loads(
        (desk.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json").read_text()
    )
    return content


def test_no_container_is_made_without_consent(desk: Desk) -> None:
    lighter(desk)
    said = desk.play("up")
    assert "bp_sol_01: left alone: its config is refused: config/active/bp_sol_01.json: " in said
    assert WHY in said
    assert LINE in said
    assert f"{FLEET_NAME}-bp_sol_01" not in desk.states()
    assert WHY in desk.play("up --dry-run")
    assert WHY in desk.play("config --check")
    assert desk.exit_code == 4


def test_with_consent_it_is_made_and_its_bot_is_told(desk: Desk) -> None:
    lighter(desk, LINE)
    assert "bp_sol_01: created" in desk.play("up")
    assert env_file(desk)["GRIDBOT_ACCEPT_UNVERIFIED"] == "lighter"
    made = desk.engine.inspect(f"{FLEET_NAME}-bp_sol_01")["Config"]
    assert "GRIDBOT_ACCEPT_UNVERIFIED" not in json.dumps(made)


def test_what_an_older_manager_made_goes_on_and_starts_again(desk: Desk) -> None:
    lighter(desk, LINE)
    desk.play("up")
    bundled(desk)
    before = env_file(desk)
    assert "nothing to do" in desk.play("up")
    assert "bp_sol_01: restarted (requested" in desk.play("restart bp_sol_01")
    desk.play("stop bp_sol_01")
    assert "bp_sol_01: started (not running" in desk.play("start bp_sol_01")
    assert env_file(desk) == before
    desk.new_image()
    assert "stays as it was made" in desk.play("up --recreate bp_sol_01")
    desk.play("halt")
    assert "running" not in desk.states().values()
