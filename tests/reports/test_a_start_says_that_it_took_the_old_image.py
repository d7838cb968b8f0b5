"""A bot ended, its image was built anew, and `start` ran the old one again: it says so, and what to do."""

from __future__ import annotations

import pytest

from tests.fakes.sandbox import Sandbox

HINT = "an older image; `manager upgrade` upgrades them: "


@pytest.mark.parametrize("command", ["start", "restart", "up"])
def test_what_is_started_on_the_image_it_had_is_named(sandbox: Sandbox, command: str) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("stop bp_sol_01")
    assert f"1 of the instances runs {HINT}bp_sol_01" in sandbox.transcript(f"{command} bp_sol_01"), (
        "and of no other: it was not asked for"
    )
    assert f"2 of the instances run {HINT}bp_eth_02, bp_sol_01" in sandbox.transcript("up")
    assert HINT not in sandbox.transcript("up --recreate bp_sol_01")
