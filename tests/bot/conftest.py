"""Fixtures of the bundled bot's tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbot.store.store import Store
from tests.bot.bots import Bot, BotFactory
from tests.bot.worlds import begin_live_run


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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty record, in the test's own folder."""
    made = Store(tmp_path / "bot.db", durable=False)
    yield made
    made.close()


@pytest.fixture
def live_run(store: Store) -> None:
    """A live run that the record has begun."""
    begin_live_run(store)


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Take away what a bot that ran in this process has added to the log: it has that test's streams."""
    yield
    root = logging.getLogger()
    of_a_bot = [one for one in root.handlers if type(one.formatter).__module__ == "gridbot.runtime.log"]
    for handler in of_a_bot:
        root.removeHandler(handler)
