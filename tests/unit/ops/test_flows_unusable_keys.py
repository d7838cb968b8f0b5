"""A live instance whose keys can sign nothing: said before the start, and what exists goes on as it was made."""

from __future__ import annotations

import base64
import json

import pytest

from tests.builders import FLEET_NAME
from tests.fakes.desk import Desk

KEYS = {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"}
SOUND = base64.b64encode(bytes(range(32))).decode()
WHY = "the value of BACKPACK_SECRET is not 32 bytes in base64"
NAME = "bp_sol_01"


def live(desk: Desk, secret: str) -> None:
    (desk.folder / ".env").write_text(f"BACKPACK_KEY={SOUND}\nBACKPACK_SECRET={secret}\n")
    (desk.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"')
    desk.config("bp_sol_01", 5002, mode="live", exchange_config=KEYS)


def given(desk: Desk) -> dict[str, str]:
    path = desk.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    content: dict[str, str] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("secret", ["abc", SOUND[:-1], SOUND + SOUND])
def test_keys_that_can_sign_nothing_are_said_before_the_start(desk: Desk, secret: str) -> None:
    live(desk, secret)
    for command in ("up --dry-run", "plan", "config --check"):
        assert WHY in desk.play(command), command
    said = desk.play("up")
    assert WHY in said
    assert secret not in said
    assert given(desk)["BACKPACK_SECRET"] == secret, "the bot says itself what it lacks, and fails"
    live(desk, SOUND)
    assert "bp_sol_01: restarted (environment changed" in desk.play("up")
    assert WHY not in desk.play("plan")


def test_what_exists_goes_on_with_the_keys_that_it_was_made_with(desk: Desk) -> None:
    live(desk, SOUND)
    desk.play("up")
    live(desk, "abc")
    said = desk.play("up")
    assert WHY in said
    assert "stop bp_sol_01" not in said
    assert desk.states()[NAME] == "running"
    desk.play("restart bp_sol_01")
    desk.play("stop bp_sol_01")
    desk.play("start bp_sol_01")
    assert desk.states()[NAME] == "running"
    assert given(desk)["BACKPACK_SECRET"] == SOUND


def test_a_bot_of_ones_own_has_keys_of_any_form(desk: Desk) -> None:
    live(desk, "abc")
    (desk.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\nimage = "own:1"')
    desk.new_image()
    assert WHY not in desk.play("up")
