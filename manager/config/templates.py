"""Create a config from a template, and name the values that belong to another market. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from manager.config import dotted_keys
from manager.config.exchanges import EXCHANGES
from manager.errors import UsageError
from manager.typed import NamedTuple

Config = dict[str, Any]

UPPER = ("grid_upper_price", "grid_upper")
LOWER = ("grid_lower_price", "grid_lower")
QUANTITY = ("order_quantity", "quantity")
MAX_POSITION = ("max_position",)
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "--lower": LOWER,
    "--upper": UPPER,
    "--quantity": QUANTITY,
    "--max-position": MAX_POSITION,
}
"""Option → the keys of strategy_config that it sets; the first one wins."""

MARKET_VALUES = (*LOWER, *UPPER, *QUANTITY, *MAX_POSITION, "target_position", "position_threshold")
"""Prices and sizes that only make sense for the template's market."""

DEDICATED_OPTIONS = {
    "metadata.instance_id": "--id",
    "metadata.symbol": "--symbol",
    "metadata.exchange": "--exchange",
    "daemon_config.web_port": "--port",
}


class NewConfig(NamedTuple):
    """Hold the user's choices for a new config. `settings`: dotted path → value."""

    id: str
    symbol: str
    port: int
    exchange: str | None = None
    settings: Mapping[str, Any] = {}


def parse_setting(argument: str) -> tuple[str, Any]:
    """Parse `path.to.key=VALUE` → (path, value): VALUE as JSON, else as text. Raises UsageError."""
    key, equals, text = argument.partition("=")
    path = dotted_keys.full_path(key.strip())
    if not equals or not all(path.split(".")):
        raise UsageError("--set {argument}: must be path.to.key=VALUE", argument=key)
    if own := DEDICATED_OPTIONS.get(path):
        raise UsageError("--set {argument}: use {option} instead", argument=key, option=own)
    try:
        return path, json.loads(text)
    except ValueError:
        return path, text


def key_in_use(template: Config, names: tuple[str, ...]) -> str:
    """Return the path of the synonym that this template uses."""
    strategy = _section(template, "strategy_config")
    key = next((name for name in names if strategy.get(name) is not None), names[0])
    return f"strategy_config.{key}"


def foreign_values(template: Config, symbol: str, given: Iterable[str]) -> list[str]:
    """Return the paths of prices and sizes that belong to another market and were not given."""
    return [] if _section(template, "metadata").get("symbol") == symbol else unchanged_values(template, given)


def unchanged_values(template: Config, given: Iterable[str]) -> list[str]:
    """Return the paths of prices and sizes that would remain the template's. Zeros suit every market."""
    answered = {name for path in given for name in _synonyms(path.removeprefix("strategy_config."))}
    strategy = _section(template, "strategy_config")
    return [
        f"strategy_config.{name}" for name in MARKET_VALUES if strategy.get(name) and name not in answered
    ]


def option_of(path: str) -> str:
    """Return the command-line syntax for this key: `--lower PRICE`, `--set KEY=VALUE`."""
    name = path.removeprefix("strategy_config.")
    return next((option for option, names in OPTIONS.items() if name in names), f"--set {name}=VALUE")


def get_value(config: Config, path: str) -> Any:
    """Return the value at a dotted path, or None."""
    value: Any = config
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def fill(template: Config, new: NewConfig, now: str, *, is_bundled_bot: bool) -> Config:
    """Return the new config.

    It trades on paper, whatever the template and the fleet say, unless a setting says live.
    """
    config = copy.deepcopy(template)
    metadata = {**_section(config, "metadata"), "instance_id": new.id, "name": new.id}
    metadata |= {"symbol": new.symbol, "created_at": now}
    for key in ("description", "updated_at"):  # they describe the template
        metadata.pop(key, None)
    template_exchange = metadata.get("exchange")
    if new.exchange not in (None, template_exchange):
        metadata["exchange"] = new.exchange
        if isinstance(metadata.get("tags"), list):
            metadata["tags"] = [new.exchange if tag == template_exchange else tag for tag in metadata["tags"]]
        if is_bundled_bot and new.exchange in EXCHANGES:
            config["exchange_config"] = dict(EXCHANGES[new.exchange].template)
    daemon = {
        **_section(config, "daemon_config"),
        "log_dir": f"logs/{new.id}",
        "db_path": f"database/{new.id}.db",
        "web_port": new.port,
    }
    config |= {"metadata": metadata, "daemon_config": daemon, "mode": "paper"}
    for path, value in new.settings.items():
        _set_value(config, path, value)
    return config


def _set_value(config: Config, path: str, value: Any) -> None:
    """Set a value and remove the key's synonyms, which would override it or contradict it."""
    dotted_keys.set_value(config, path, value)
    section, _dot, name = path.partition(".")
    for other in _synonyms(name) if section == "strategy_config" else ():
        if other != name:
            config[section].pop(other, None)


def _synonyms(name: str) -> tuple[str, ...]:
    return next((names for names in OPTIONS.values() if name in names), (name,))


def _section(config: Config, name: str) -> Config:
    section = config.get(name)
    return section if isinstance(section, dict) else {}
