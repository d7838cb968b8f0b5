"""Options and fixtures of the bundled bot's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot.bots import Bot, BotFactory


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=10, help="how often test_kill.py kills the bot (default 10)"
    )


@pytest.fixture
def start_bot(tmp_path: Path) -> Iterator[BotFactory]:
    """Starts bots in the test's own folder; whatever still runs at the end is killed."""
    started: list[Bot] = []

    def start(*argv: str, **env: str) -> Bot:
        bot = Bot(tmp_path, argv, env)
        started.append(bot)
        return bot

    yield start
    for bot in started:
        bot.kill()
