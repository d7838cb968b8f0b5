"""The dated table of request limits, and what a fleet overrides."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path

import pytest

from gridbot.config.settings import DEFAULT_INTERVAL_S
from gridbot.exchanges.venues import VENUES
from manager.config import cache, fleet_settings, request_limits, settings_cache
from manager.errors import ConfigError
from manager.util import kept_content
from tests.builders import a_fleet
from tests.fake_exchange import limits as fake

TABLE = Path(__file__).resolve().parents[3] / request_limits.TABLE


def test_every_exchange_of_the_bot_is_in_it_with_a_date_and_a_source() -> None:
    raw = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    assert raw.pop("bot")["interval"] == DEFAULT_INTERVAL_S
    assert set(VENUES) <= set(raw)
    for exchange, values in raw.items():
        assert isinstance(values["read"], datetime.date), exchange
        assert values["source"], exchange
        assert values.get("address") or values.get("account"), exchange


def test_it_is_what_the_fake_exchange_enforces() -> None:
    exchanges = request_limits.load(a_fleet()).exchanges
    for name, rules in (("aster", fake.ASTER), ("paradex", fake.PARADEX), ("lighter", fake.LIGHTER)):
        of_address = [
            window.most * 60 / window.seconds
            for window in rules.windows
            if window.scope is fake.Scope.ADDRESS
        ]
        assert exchanges[name].address == min(of_address)


def test_a_tick_weighs_what_its_three_calls_do() -> None:
    for name, limits in request_limits.load(a_fleet()).exchanges.items():
        calls = ("fetch_ticker", "fetch_open_orders", "fetch_my_trades")
        assert limits.tick == sum(limits.weights.get(call, 1) for call in calls), name


def a_fleet_file(folder: Path, text: str) -> Path:
    (folder / "config").mkdir()
    path = folder / "config" / "fleet.toml"
    path.write_text('name = "desk"\n' + text)
    return path


def test_a_fleet_overrides_single_keys_and_adds_exchanges(tmp_path: Path) -> None:
    a_fleet_file(tmp_path, "[requests.Aster]\naddress = 1000\n[requests.kraken]\naccount = 60\n")
    fleet, _defaults = fleet_settings.load(tmp_path)
    exchanges = request_limits.load(fleet).exchanges
    assert (exchanges["aster"].address, exchanges["aster"].start) == (1000, 60)
    assert (exchanges["kraken"].address, exchanges["kraken"].account, exchanges["kraken"].tick) == (0, 60, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[requests.aster]\naddress = -1\n", "requests.aster.address: must be 0-1000000, not -1"),
        ("[requests.aster]\ntick = 1e400\n", "requests.aster.tick: must be 0-1000000, not inf"),
        ('[requests.aster]\nstart = "x"\n', "requests.aster.start: must be a number, not “x”"),
        (
            "[requests.aster]\nadress = 1\n",
            "aster.adress: is not a known key; did you mean address?",
        ),
        ("[requests]\naster = 5\n", "requests.aster"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, words: str) -> None:
    a_fleet_file(tmp_path, text)
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        fleet_settings.load(tmp_path)


def test_the_table_is_parsed_once_until_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading `tomllib` takes a restart as long as planning it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "docker" / "supervisor").mkdir(parents=True)
    (tmp_path / "Dockerfile").touch()
    fleet, table = a_fleet(project_dir=tmp_path), tmp_path / request_limits.TABLE
    table.parent.mkdir()
    text = TABLE.read_text(encoding="utf-8")
    table.write_text(text)
    monkeypatch.setattr(kept_content, "SETTLED_NS", 0)
    first = request_limits.load(fleet)
    [kept] = (tmp_path / "cache" / "botfleet").iterdir()

    with monkeypatch.context() as patch:
        patch.setattr(tomllib, "loads", None)
        assert request_limits.load(fleet) == first
    table.write_text(text.replace("address = 2400", "address = 2500.0"))
    assert request_limits.load(fleet).exchanges["aster"].address == 2500
    for damage in ("", "[]", '{"stamp": 1}', "{"):
        kept.write_text(damage)
        assert request_limits.load(fleet).exchanges["aster"].address == 2500
    table.write_text("aster = 1")
    with pytest.raises(ConfigError, match="cannot be used"):
        request_limits.load(fleet)


def test_a_table_that_has_just_been_written_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change again within the tick of the file system's clock."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_content, "SETTLED_NS", 10**15)  # so that no wait of this machine counts
    (tmp_path / "file").touch()
    stamp, read_at = settings_cache.stamp(tmp_path / "file"), kept_content.file_time_ns()
    cache.keep(tmp_path / "file", [*stamp[:-1], read_at], {"a": 1}, read_at)
    assert not (tmp_path / "cache").exists()
    cache.keep(tmp_path / "file", [*stamp[:-1], 1], {"a": 1}, read_at)
    assert cache.kept(tmp_path / "file", [*stamp[:-1], 1]) == {"a": 1}


def test_it_is_read_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "cache", Path("relative")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        assert request_limits.load(a_fleet()).exchanges["aster"].address
