"""A live bot whose orders need a signing library: that it is not told of one is said before its start."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.sandbox import Sandbox
from tests.unit.ops.test_flows_unverified import KEYS, METADATA, bundled, lighter

LACKING = "config/active/bp_sol_01.json: exchange_config.signer_library: live trading on lighter needs its"
OF_APEX = "live trading on apex needs the signing library apexomni"
ACCEPTED = 'accept_unverified = ["apex", "lighter"]'


@pytest.mark.parametrize("command", ["config --check", "plan", "up --dry-run"])
def test_lighters_library_that_reaches_the_bot_from_nowhere_is_said(command: str, sandbox: Sandbox) -> None:
    lighter(sandbox, ACCEPTED)
    output = sandbox.transcript(command)
    assert LACKING in output
    assert "unless its image sets it" in output


@pytest.mark.parametrize("written", [{}, {"signer_library": "/opt/lighter-signer.so"}])
def test_the_line_that_is_to_be_written_ends_the_warning(written: dict[str, str], sandbox: Sandbox) -> None:
    """Of a path in the config no bot hears: only variables that are named reach it."""
    lighter(sandbox, ACCEPTED)
    changes: dict[str, Any] = {"mode": "live", "metadata": METADATA}
    sandbox.config("bp_sol_01", 5002, **changes, exchange_config={**KEYS, **written})
    output = sandbox.transcript("config --check")
    assert (
        'write "signer_library": "${LIGHTER_SIGNER_LIBRARY}" there, and LIGHTER_SIGNER_LIBRARY=… in' in output
    )
    named = {**KEYS, "signer_library": "${LIGHTER_SIGNER_LIBRARY}"}
    sandbox.config("bp_sol_01", 5002, **changes, exchange_config=named)
    with (sandbox.folder / ".env").open("a") as file:
        file.write("LIGHTER_SIGNER_LIBRARY=/opt/lighter-signer.so\n")
    assert "signing library" not in sandbox.transcript("config --check")


def test_lighters_library_that_is_named_is_not_missed(sandbox: Sandbox) -> None:
    lighter(sandbox, ACCEPTED)
    keys = {**KEYS, "signer_library": "${LIGHTER_SIGNER_LIBRARY}"}
    sandbox.config("bp_sol_01", 5002, mode="live", metadata=METADATA, exchange_config=keys)
    output = sandbox.transcript("config --check")
    assert LACKING not in output
    assert "LIGHTER_SIGNER_LIBRARY is not set, but live mode requires it" in output
    with (sandbox.folder / ".env").open("a") as file:
        file.write("LIGHTER_SIGNER_LIBRARY=/opt/lighter-signer.so\n")
    output = sandbox.transcript("config --check")
    assert "LIGHTER_SIGNER_LIBRARY" not in output


def test_apexs_library_is_a_note_of_the_check_alone(sandbox: Sandbox) -> None:
    (sandbox.folder / ".env").write_text("APEX_KEY=0123456789abcdef\nAPEX_SECRET=f0f0f0f0f0f0\n")
    bundled(sandbox, ACCEPTED)
    keys = {"api_key": "${APEX_KEY}", "secret_key": "${APEX_SECRET}"}
    metadata = {"exchange": "apex", "symbol": "SOL"}
    sandbox.config("bp_sol_01", 5002, mode="live", metadata=metadata, exchange_config=keys)
    assert OF_APEX in sandbox.transcript("config --check")
    assert OF_APEX not in sandbox.transcript("up --dry-run")


@pytest.mark.parametrize(("mode", "image"), [("paper", ""), ("live", "my-bot:1")])
def test_paper_and_bots_of_other_people_need_none(mode: str, image: str, sandbox: Sandbox) -> None:
    lighter(sandbox, ACCEPTED, *([f'image = "{image}"'] if image else []))
    sandbox.config("bp_sol_01", 5002, mode=mode, metadata=METADATA, exchange_config=KEYS)
    assert "signing library" not in sandbox.transcript("config --check")
