"""A live instance whose keys can sign nothing: said before the start, and what exists goes on as it was made."""

from __future__ import annotations

import base64
import json

import pytest

from tests.builders import FLEET_NAME
from tests.fakes.sandbox import Sandbox

KEYS = {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"}
SOUND = base64.b64encode(bytes(range(32))).decode()
WHY = "the value of BACKPACK_SECRET is not 32 or 64 bytes in base64"
NAME = "bp_sol_01"


def live(sandbox: Sandbox, secret: str) -> None:
    (sandbox.folder / ".env").write_text(f"BACKPACK_KEY={SOUND}\nBACKPACK_SECRET={secret}\n")
    (sandbox.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"')
    sandbox.config("bp_sol_01", 5002, mode="live", exchange_config=KEYS)


def given(sandbox: Sandbox) -> dict[str, str]:
    path = sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    content: dict[str, str] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize("secret", ["abc", SOUND[:-1], SOUND + SOUND])
def test_keys_that_can_sign_nothing_are_said_before_the_start(sandbox: Sandbox, secret: str) -> None:
    live(sandbox, secret)
    for command in ("up --dry-run", "plan", "config --check"):
        assert WHY in sandbox.transcript(command), command
    output = sandbox.transcript("up")
    assert WHY in output
    assert secret not in output
    assert given(sandbox)["BACKPACK_SECRET"] == secret, "the bot says itself what it lacks, and fails"
    live(sandbox, SOUND)
    assert "bp_sol_01: restarted (environment changed" in sandbox.transcript("up")
    assert WHY not in sandbox.transcript("plan")


def test_what_exists_goes_on_with_the_keys_that_it_was_made_with(sandbox: Sandbox) -> None:
    live(sandbox, SOUND)
    sandbox.transcript("up")
    live(sandbox, "abc")
    output = sandbox.transcript("up")
    assert WHY in output
    assert "stop bp_sol_01" not in output
    assert sandbox.states()[NAME] == "running"
    sandbox.transcript("restart bp_sol_01")
    sandbox.transcript("stop bp_sol_01")
    sandbox.transcript("start bp_sol_01")
    assert sandbox.states()[NAME] == "running"
    assert given(sandbox)["BACKPACK_SECRET"] == SOUND


def test_a_bot_of_ones_own_has_keys_of_any_form(sandbox: Sandbox) -> None:
    live(sandbox, "abc")
    (sandbox.folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\nimage = "own:1"')
    sandbox.new_image()
    assert WHY not in sandbox.transcript("up")
