"""Two live bots on two accounts of one exchange trade with what the manager hands over to them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from manager.config import bot_environment
from tests.bot.bots import Bot
from tests.bot.test_live import FAST, MESH, fake, settled
from tests.builders import a_fleet, a_spec
from tests.fake_exchange.book import Book
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]

FIRST = {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"}
SECOND = {"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"}


def start(folder: Path, fake: FakeExchange, dotenv: dict[str, str], config: dict[str, str]) -> Bot:
    """A bot whose variables are those of the env file that the manager writes for this config."""
    fleet = a_fleet(config_variables=("BP2_KEY", "BP2_SECRET"))
    values = bot_environment.env_file_values(
        a_spec(fleet=fleet, exchange_config=config, mode="live"), fleet, {}, dotenv
    )
    folder.mkdir()
    env = {**values, **FAST, "TRADING_MODE": "live", "BACKPACK_API_URL": fake.url}
    return Bot(folder, (*MESH, "--interval", "0.1"), env)


def test_each_trades_on_its_own_account(fake: FakeExchange, tmp_path: Path) -> None:
    other = fake.add_account(Book())
    dotenv = {
        "BACKPACK_KEY": fake.key,
        "BACKPACK_SECRET": fake.secret,
        "BP2_KEY": other.key,
        "BP2_SECRET": other.secret,
    }
    bots: list[Bot] = []
    try:
        bots.append(start(tmp_path / "one", fake, dotenv, FIRST))
        bots.append(start(tmp_path / "two", fake, dotenv, SECOND))
        settled(bots[0], fake)
        bots[1].wait_for(lambda: len(other.book.own_open()) == len(fake.book.own_open()) == 6)
        other.book.move(Decimal(148))
        bots[1].wait_for(lambda: bots[1].status().get("position") == "0.1")
        assert (other.book.position(), fake.book.position()) == (Decimal("0.1"), Decimal(0))
        assert bots[0].status()["position"] == "0"
        assert [bot.stop() for bot in bots] == [0, 0]
        assert fake.book.own_open() == other.book.own_open() == []
        assert fake.book.violations == other.book.violations == []
    finally:
        for bot in bots:
            if bot.process.poll() is None:
                bot.kill()


def test_the_second_accounts_keys_are_needed_and_not_the_firsts(fake: FakeExchange, tmp_path: Path) -> None:
    dotenv = {"BACKPACK_KEY": fake.key, "BACKPACK_SECRET": fake.secret, "BP2_KEY": fake.key}
    bot = start(tmp_path / "two", fake, dotenv, SECOND)
    assert bot.wait_end() == 3
    assert "needs BACKPACK_SECRET" in bot.output()
    assert fake.book.orders == {}
