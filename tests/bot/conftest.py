"""Fixtures of the bundled bot's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot.bots import Bot, BotFactory


@pytest.fixture
def start_bot(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[BotFactory]:
    """Starts bots in the test's own folder; whatever still runs at the end is killed.

    A module whose `IS_FORKED` is False gets bots that are started as their supervisor does it.
    """
    started: list[Bot] = []

    def start(*argv: str, **env: str) -> Bot:
        bot = Bot(tmp_path, argv, env, is_forked=getattr(request.module, "IS_FORKED", True))
        started.append(bot)
        return bot

    yield start
    for bot in started:
        bot.kill()
