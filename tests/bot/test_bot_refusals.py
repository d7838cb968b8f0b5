"""What the manager says the bundled bot would refuse, and what the bot itself refuses."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from gridbot.config import args
from gridbot.model.errors import ConfigError
from manager.config import bot_refusals, loader
from manager.config.fleet import Fleet
from manager.config.loaded import LoadedFile

GRID = {"grid_upper_price": 140, "grid_lower_price": 100}
QUOTES = {"quantity": 1, "max_position": 2}
CHOICES: dict[str, list[dict[str, Any]]] = {
    "strategy": [{"strategy": name} for name in ("perp_grid", "grid", "standard", "maker_hedge")],
    "market": [{}, {"market_type": "spot"}, {"market_type": "perp"}],
}
SECTIONS: list[dict[str, Any]] = [
    {},
    {"max_position": 2},
    GRID,
    {**GRID, "max_position": 2},
    {**GRID, "quantity": 0.5},
    {**GRID, "quantity": 0.5, "grid_type": "short"},
    {**GRID, "quantity": 0.5, "grid_num": 4, "grid_type": "long", "initial_position": 1.6},
    {**GRID, "max_position": 1.5, "grid_type": "long", "initial_position": 1.5},
    {**GRID, "max_position": 1.5, "grid_type": "short", "initial_position": 1.6},
    {**GRID, "quantity": 0.5, "initial_position": 1},
    {**GRID, "quantity": 0.5, "interval": 0.01},
    {**GRID, "quantity": 0.5, "exclusive_account": True, "cancel_all_after": 600},
    QUOTES,
    {**QUOTES, "spread": 0},
    {**QUOTES, "spread": 100},
    {**QUOTES, "max_orders": 201},
    {**QUOTES, "inventory_skew": 1.5},
    {**QUOTES, "target_position": -1},
    {**QUOTES, "target_position": 3},
]


def loaded(config: dict[str, Any], **settings: Any) -> LoadedFile:
    return loader.load_value(
        config, "config/active/a.json", Fleet("f", Path("/p"), Path("/p/volumes"), **settings), {}, {}, {}
    )


def config(*parts: dict[str, Any], section: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"exchange": "backpack", "symbol": "SOL_USDC"}
    for part in parts:
        metadata |= part
    return {"metadata": metadata, "daemon_config": {"web_port": 5001}, "strategy_config": section}


def said_by_bot(command: tuple[str, ...]) -> str | None:
    try:
        args.parse(command, {})
    except ConfigError as err:
        return str(err)
    return None


def test_the_manager_says_what_the_bot_would_and_nothing_of_what_it_starts_with() -> None:
    refused = set[str]()
    for strategy, market, section in itertools.product(*CHOICES.values(), SECTIONS):
        file = loaded(config(strategy, market, section=section))
        if file.spec is None:
            continue  # the manager itself refuses it
        why = [str(problem.text.params["why"]) for problem in file.warnings if "why" in problem.text.params]
        assert why[:1] == [text for text in [said_by_bot(file.spec.command)] if text], file.spec.command
        refused.update(why[:1])
    assert len(refused) == 13


@pytest.mark.parametrize(
    ("section", "line"),
    [
        (
            {},
            "config/active/a.json: strategy_config.order_quantity: the bot will end with exit code 2, for"
            " “--quantity: must be given and above 0, or --max-position, which it is computed from”",
        ),
        (
            {**GRID, "quantity": 1, "grid_type": "short"},
            "config/active/a.json: strategy_config.grid_type: the bot will end with exit code 2, for"
            " “--grid-type: a spot market can't be sold short; use long, or a perpetual”",
        ),
    ],
)
def test_the_line_names_the_key(section: dict[str, Any], line: str) -> None:
    made = config({"strategy": "grid"}, section=section)
    assert line in map(str, loaded(made).warnings)
    assert loaded(made).problems == (), "what ran before is still started"
    assert not any("why" in problem.text.params for problem in loaded(made, bot_dir="bot").warnings)


def test_options_that_the_bot_does_not_have_are_named_without_values() -> None:
    own = ("--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "standard", "--quantity=1")
    assert list(bot_refusals.problems("a.json", own)) == []
    assert list(bot_refusals.problems("a.json", (*own, "--replay", "prices.csv"))) == []
    [problem] = bot_refusals.problems("a.json", (*own, "--enable-db", "--code", "1234"))
    assert problem.text.params == {"why": "unrecognized arguments: --enable-db --code"}
    assert (said_by_bot((*own, "--enable-db")) or "") == "unrecognized arguments: --enable-db"


def test_a_flat_config_is_told_of_its_arguments() -> None:
    file = loaded({"bot_args": ["--quantity", "1"], "exchange_config": {"api_key": "${BACKPACK_KEY}"}})
    assert file.spec is not None
    refusal = said_by_bot(file.spec.command)
    assert [problem.text.params["why"] for problem in file.warnings] == [refusal]
    assert [problem.path for problem in file.warnings] == ["bot_args"]
    assert refusal == "the following arguments are required: --exchange, --symbol, --strategy"
