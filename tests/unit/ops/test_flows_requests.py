"""`plan` and `up` keep to the exchanges' request limits: both bots ask Backpack for 90 requests a minute."""

from __future__ import annotations

from tests.builders import FLEET_NAME
from tests.fakes.sandbox import IMAGE, Sandbox


def limits(sandbox: Sandbox, account: int) -> None:
    (sandbox.folder / "config" / "fleet.toml").write_text(
        f'name = "{FLEET_NAME}"\nimage = "{IMAGE}"\nmode = "live"\nallow_shared_credentials = true\n'
        f"[requests.backpack]\naccount = {account}\n"
    )


def test_what_would_exceed_the_limit_is_not_started(sandbox: Sandbox) -> None:
    limits(sandbox, 150)
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: left alone: it would exceed the request limit, backpack: the account of bp_eth_02 and its bots (2)\
 makes 180 requests a minute of 150 (120 %); raise its interval, use another address, or correct the limit in\
 config/fleet.toml under [requests.backpack]
        bp_eth_02: created (no container, 0.0 s)
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          exit code 4
    """)


def test_what_runs_is_left_alone_when_the_limit_falls(sandbox: Sandbox) -> None:
    limits(sandbox, 2000)
    sandbox.transcript("up")
    limits(sandbox, 150)
    sandbox.run("restart")
    assert sandbox.exit_code == 0
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_the_plan_says_what_is_asked_for_and_warns_at_80_percent(sandbox: Sandbox) -> None:
    limits(sandbox, 600)
    message = "backpack: the account of bp_eth_02 and its bots (2) makes 180 requests a minute of 600 (30 %)"
    assert message in sandbox.run("plan")
    limits(sandbox, 225)
    warned = [line for line in sandbox.run("plan") if "of 225 (80 %)" in line]
    assert len(warned) == 1
    assert warned[0].startswith("warning: ")
    assert sandbox.exit_code == 0
