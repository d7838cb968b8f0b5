"""A placeholder or a damaged key in .env reaches no exchange: a live bot is not started with it."""

from __future__ import annotations

from typing import Any

import pytest

from manager.config import bot_environment
from tests.builders import a_fleet, a_spec
from tests.fakes.sandbox import Sandbox

PLACEHOLDERS = [
    "your_api_key_here",
    "YOUR-KEY",
    "<BACKPACK_API_KEY>",
    "[key]",
    "{{ key }}",
    "changeme",
    "change-me",
    "xxxxxxxx",
    "...",
    "…",
    "***",
    "paste_key_here",
    "TODO",
    "BACKPACK_KEY",
    "${BACKPACK_KEY}",
    "None",
]
DAMAGED = {
    "abc def": "a blank",
    "abc\ndef": "a blank",
    "abc\x01def": "a control character",
    " abc": "a blank at its beginning or end",
    "abc'": "a quotation mark",
    '"abc': "a quotation mark",
    "“abc”": "a character outside ASCII",
    "аbc": "a character outside ASCII",
    "abc\u200b": "a character outside ASCII",
}
USABLE = [
    "k1",
    "pk_live_51Hy",
    "0xabc123",
    "a+b/c==",
    "xoxb-1",
    "yours",
    "-----BEGIN EC PRIVATE KEY-----\nab c\n",
]


def problems_of(**variables: str) -> list[str]:
    keys = {"api_key": "", "secret_key": "", **{name: f"${{{name}}}" for name in variables}}
    sections: dict[str, Any] = {"exchange_config": keys}
    spec = a_spec("a", 5001, mode="live", **sections)
    return [str(problem) for problem in bot_environment.credential_problems([spec], a_fleet(), variables)]


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_a_placeholder_is_refused(value: str) -> None:
    assert problems_of(BACKPACK_KEY=value) == [
        "config/active/a.json: exchange_config: BACKPACK_KEY has a template's placeholder instead of a value;"
        " write BACKPACK_KEY=… in .env"
    ]


@pytest.mark.parametrize("value", DAMAGED)
def test_what_no_key_contains_is_refused_without_showing_it(value: str) -> None:
    (problem,) = problems_of(BACKPACK_KEY=value)
    assert problem == (
        f"config/active/a.json: exchange_config: the value of BACKPACK_KEY contains {DAMAGED[value]}, which"
        " no credential does: check BACKPACK_KEY=… in .env"
    )


@pytest.mark.parametrize("value", USABLE)
def test_a_usable_key_is_not_refused(value: str) -> None:
    assert problems_of(BACKPACK_KEY=value) == []


def test_words_and_chosen_passwords_may_have_blanks_and_quotes() -> None:
    assert problems_of(MNEMONIC="legal winner thank", API_PASSPHRASE="it's mine", SEEDS="a b") == []
    assert len(problems_of(MNEMONIC="legal winner thañk")) == 1


def test_a_live_bot_with_a_placeholder_is_not_started(sandbox: Sandbox) -> None:
    keys = {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"}
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=your_api_key_here\nBACKPACK_SECRET=s\n")
    sandbox.config("bp_sol_01", 5002, mode="live", exchange_config=keys)
    sandbox.config("bp_eth_02", 5001, exchange_config=keys)
    assert "BACKPACK_KEY has a template's placeholder" in sandbox.transcript("up bp_sol_01")
    assert "create bp_eth_02" in sandbox.transcript("up bp_eth_02")
