"""Read the exchanges' request limits: the bot's dated table, and what config/fleet.toml overrides."""

from collections.abc import Mapping

from manager.config import cache, settings_cache
from manager.config.fleet import Fleet
from manager.errors import ConfigError, Problem
from manager.typed import Any, NamedTuple
from manager.util import bundle, kept_content

TABLE = "docker/bot/requests.toml"
OF_THE_BOT = "bot"
"""The table's section that is no exchange."""


class ExchangeLimits(NamedTuple):
    """Hold what one exchange allows, in requests a minute, and what a bot needs. 0 is no limit."""

    address: float = 0.0
    account: float = 0.0
    orders: float = 0.0
    tick: float = 3.0
    start: float = 20.0
    weights: Mapping[str, float] = {}
    read: str = ""


class RequestTable(NamedTuple):
    """Hold the limits by exchange, and what is the same for every bot."""

    exchanges: Mapping[str, ExchangeLimits] = {}
    interval: float = 2.0
    paper_tick: float = 1.0


def load(fleet: Fleet) -> RequestTable:
    """Return the limits that count for this fleet.

    A bot folder from before there was a table has none: the one that came with the manager is then read.
    Raises ConfigError.
    """
    own = bundle.build_folder(fleet.project_dir) / TABLE
    path = own if own.is_file() else bundle.folder() / TABLE
    read_at, stamp = kept_content.file_time_ns(), settings_cache.stamp(path)
    try:
        if kept := cache.kept(path, stamp):
            return _table(kept, fleet)
        import tomllib  # with typing and datetime, it takes as long as the planning of a restart

        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        table = _table(raw, fleet)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError([Problem.at(TABLE, "", "cannot be used: {why}", why=str(error)[:200])]) from error
    cache.keep(path, stamp, raw, read_at)
    return table


def _table(raw: Mapping[str, Any], fleet: Fleet) -> RequestTable:
    of_the_bot = raw[OF_THE_BOT]
    changed = {exchange: dict(values) for exchange, values in fleet.requests}
    return RequestTable(
        {
            exchange: _limits({**raw.get(exchange, {}), **changed.get(exchange, {})})
            for exchange in sorted({*raw, *changed} - {OF_THE_BOT})
        },
        float(of_the_bot["interval"]),
        float(of_the_bot["paper_tick"]),
    )


def _limits(raw: Mapping[str, Any]) -> ExchangeLimits:
    numbers = {
        name: float(raw[name]) for name in ("address", "account", "orders", "tick", "start") if name in raw
    }
    weights = {name: float(weight) for name, weight in raw.get("weights", {}).items()}
    return ExchangeLimits(**numbers, weights=weights, read=str(raw.get("read", "")))
