"""The bot's help named an option as required: `config --check` refused the config, and `up` started it
without a word; and of a config with sections it was said that `bot_args` had to give the option.
"""

from __future__ import annotations

import json

import pytest

from manager.config.bot_options import BotOptions
from manager.engine import labels
from manager.fleet import bot_options_file
from manager.ops.checks import build_probe
from tests.builders import a_fleet, a_spec
from tests.fakes.sandbox import Sandbox

NEEDED = frozenset({"--leverage", "--market-type", "--interval"})


@pytest.fixture
def own_bot(sandbox: Sandbox) -> Sandbox:
    """A fleet whose own bot requires more than its configs give."""
    settings = sandbox.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text() + 'bot_dir = "its-own"\n')
    fleet = a_fleet(project_dir=sandbox.folder, data_dir=sandbox.folder / "volumes")
    bot_options_file.save(fleet, BotOptions(NEEDED | {"--symbol"}, NEEDED))
    return sandbox


def test_check_and_up_say_the_same_and_up_starts_it(own_bot: Sandbox) -> None:
    own_bot.config("bp_sol_01", 5001, metadata={"market_type": None}, strategy_config={"interval": None})
    own_bot.config("bp_eth_02", 5002, metadata={"market_type": "perp"}, strategy_config={"interval": 2})
    flat = {"web_port": 5003, "bot_args": ["--symbol", "x", "--market-type", "spot", "--interval=2"]}
    (own_bot.folder / "config" / "active" / "flat.json").write_text(json.dumps(flat))
    expected = [
        "config/active/bp_eth_02.json: the bot requires --leverage, which no key of a config with"
        " sections becomes; a flat config can give it in bot_args",
        "config/active/bp_sol_01.json: strategy_config.interval: the bot requires --interval; set this key",
        "config/active/bp_sol_01.json: metadata.market_type: the bot requires --market-type; set this key",
        "config/active/flat.json: bot_args: the bot requires --leverage; add it here",
    ]
    checked = own_bot.transcript("config --check")
    assert "exit code 4" in checked
    started = own_bot.transcript("up")
    for line in expected:
        assert f"error: {line}" in checked
        assert f"warning: {line}" in started
    assert set(own_bot.states().values()) == {"running"}
    assert "the bot requires" not in own_bot.transcript("up")


def test_what_the_bot_did_without_when_it_was_built_is_not_required(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usage line of a program that is not argparse may bracket nothing."""
    help_text = "usage: run.py --symbol S --leverage N\n\noptions:\n  --symbol S\n  --leverage N\n"
    monkeypatch.setattr(
        build_probe,
        "_run",
        lambda _engine, _image, _fleet, arguments, _within: (
            (0, help_text, "") if arguments == ["--help"] else (None, "", "")
        ),
    )
    sandbox.engine.add_image("own:1", {labels.SUPERVISOR: "1"})
    warnings: list[str] = []
    options = build_probe.probe(
        sandbox.engine, "own:1", "desk", [a_spec()], lambda why: warnings.append(str(why))
    )
    assert options.required == {"--symbol"}
    assert "--leverage" in warnings[0]
