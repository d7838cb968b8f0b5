"""What the manager says the bundled bot would refuse, and what the bot itself refuses."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gridbot.config import args
from gridbot.exchanges.price_sources import assumed_market
from gridbot.model.errors import ConfigError
from gridbot.store.memory import MemoryStore
from gridbot.strategies.strategy import make_strategy
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


def said_by_bot(command: Sequence[str], mode: str = "paper") -> str | None:
    """Return for what the bot ends before its first price, on a market that takes what it is given."""
    try:
        settings = args.parse(command, {"TRADING_MODE": mode, "DB_PATH": "-"})
        make_strategy(settings, assumed_market(settings), MemoryStore())
    except ConfigError as err:
        # Pythons differ in the quotes of a list of choices.
        return re.sub(r"\(choose from .*", "(…", str(err))
    return None


def warned_of(file: LoadedFile) -> list[str]:
    whys = (str(problem.text.params["why"]) for problem in bot_refusals.among(file.warnings))
    return [re.sub(r"\(choose from .*", "(…", why) for why in whys]


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


NUMBERS = (0, 1e-9, 0.049, 0.05, 0.5, 0.9999, 1, 3.3333333, 20, 99.999, 100, 150, 1e6, 123456789.12345679, -1)
RANDOM: dict[str, Sequence[Any]] = {
    "grid_upper_price": (1, 150, 200, 1e6),
    "grid_lower_price": (0, 1e-4, 1, 100),
    "grid_num": (2, 3, 199, 200),
    "grid_mode": ("arithmetic", "geometric"),
    "grid_type": ("neutral", "long", "short"),
    "max_orders": (1, 200, 201),
    **dict.fromkeys(
        (
            *("max_position", "order_quantity", "initial_position", "boundary_tolerance", "interval"),
            *("spread", "target_position", "inventory_skew", "duration"),
        ),
        NUMBERS,
    ),
}


def test_of_configs_at_random_none_is_missed_and_none_is_warned_of_for_nothing() -> None:
    chance, outcomes = random.Random(17), set[str]()
    for _ in range(600):
        section = {key: chance.choice(values) for key, values in RANDOM.items() if chance.random() < 0.5}
        parts = (chance.choice(choices) for choices in CHOICES.values())
        file = loaded(config(*parts, section={"grid_upper_price": 1e6, "grid_lower_price": 1} | section))
        if file.spec is not None:
            why = said_by_bot(file.spec.command)
            assert warned_of(file)[:1] == ([why] if why else []), file.spec.command
            outcomes.add((why or "it starts").split(":")[0])
    assert {"it starts", "--max-position", "--grid-lower"} <= outcomes


FLAT_QUOTES = "--exchange backpack --symbol SOL_USDC --strategy standard --quantity 1"
FLAT_GRID = (
    "--exchange lighter --symbol SOL_USDC --strategy perp_grid --quantity 1 --grid-upper 160 --grid-lower 140"
)


@pytest.mark.parametrize(
    "line",
    [
        f"{FLAT_QUOTES} {more}"
        for more in (
            *(
                "--interval nan",
                "--interval none",
                "--interval 0",
                "--spread nan",
                "--spread=inf",
                "--quantity",
            ),
            *("--quantity 0", "--quantity -1", "--quantity abc", "--quantity=", "--max-position 0"),
            *("--max-orders 3.0", "--target-position -1e-2", "--duration -1", "--duration None"),
            *("--exchange binance", "--strategy scalp", "--exclusive-account=1", "--cancel-all-after 600"),
            *("--stop-loss -5", "--quantity 1_0"),
        )
    ]
    + [
        f"{FLAT_GRID} {more}"
        for more in (
            *("--grid-num 1", "--grid-num 0", "--grid-num 1e1", "--grid-num 201", "--grid-lower 170"),
            *("--grid-lower -1", "--grid-type both", "--grid-mode log", "--boundary-action x"),
            *("--boundary-tolerance -1", "--max-range-moves -1", "--initial-position -1"),
            *("--initial-position nan", "--max-position 0.5", "--grid-lower 0 --grid-mode geometric"),
            *("--cancel-all-after 600", "--cancel-all-after 10", "--grid-num 9 --grid-num x", ""),
        )
    ],
)
def test_what_a_flat_config_gives_is_read_as_the_bot_reads_it(line: str) -> None:
    file = loaded({"bot_args": line.split(), "exchange_config": {"api_key": "${BACKPACK_KEY}"}})
    assert file.spec is not None
    why = said_by_bot(file.spec.command)
    assert warned_of(file)[:1] == ([why] if why else [])


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_recording_is_for_paper(mode: str) -> None:
    file = loaded({"bot_args": [*FLAT_GRID.split(), "--replay", "prices.csv"], "mode": mode})
    assert file.spec is not None
    assert warned_of(file) == ([] if mode == "paper" else [said_by_bot(file.spec.command, mode)])


@pytest.mark.parametrize(("lower", "upper", "count"), [("1", "1000000", 199), ("0.0001", "1", 200)])
def test_on_paper_a_wide_geometric_grid_has_a_tick_that_its_lowest_levels_fit(
    lower: str, upper: str, count: int
) -> None:
    line = f"{FLAT_GRID} --grid-mode geometric --grid-lower {lower} --grid-upper {upper} --grid-num {count}"
    assert said_by_bot(line.split()) is None


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
