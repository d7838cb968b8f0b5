"""A config from a template: what is the new instance's own, and what of a template is true of no other market. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from manager.config import dotted_keys
from manager.errors import UsageError

Config = dict[str, Any]

UPPER = ("grid_upper_price", "grid_upper")
LOWER = ("grid_lower_price", "grid_lower")
QUANTITY = ("order_quantity", "quantity")
MAX_POSITION = ("max_position",)
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "--lower": LOWER, "--upper": UPPER, "--quantity": QUANTITY, "--max-position": MAX_POSITION,
}  # fmt: skip
"""Option → the keys of strategy_config that mean it; the first is the one that wins."""

OF_ONE_MARKET = (*LOWER, *UPPER, *QUANTITY, *MAX_POSITION, "target_position", "position_threshold")
"""Prices and quantities: 0.5 of one coin is pocket money, 0.5 of another a car."""

HAVE_OPTIONS = {
    "metadata.instance_id": "--id",
    "metadata.symbol": "--symbol",
    "metadata.exchange": "--exchange",
    "daemon_config.web_port": "--port",
}

CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "backpack": {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"},
    "aster": {"private_key": "${ASTER_PRIVATE_KEY}"},
    "paradex": {
        "wallet_address": "${PARADEX_WALLET_ADDRESS}", "private_key": "${PARADEX_PRIVATE_KEY}",
    },
    "lighter": {
        "private_key": "${LIGHTER_PRIVATE_KEY}", "account_index": "${LIGHTER_ACCOUNT_INDEX}",
        "api_key_index": "${LIGHTER_API_KEY_INDEX}", "signer_library": "${LIGHTER_SIGNER_LIBRARY}",
    },
    "apex": {
        "api_key": "${APEX_KEY}", "secret_key": "${APEX_SECRET}", "passphrase": "${APEX_PASSPHRASE}",
        "seeds": "${APEX_SEEDS}",
    },
}  # fmt: skip
"""Exchange → the variables that the bundled bot reads (docker/bot/README.md)."""


class Wanted(NamedTuple):
    """What a person asks of a new config. `settings`: dotted path → value."""

    id: str
    symbol: str
    port: int
    exchange: str | None = None
    settings: Mapping[str, Any] = {}


def setting(word: str) -> tuple[str, Any]:
    """`path.to.key=VALUE` → (path, value): VALUE as JSON, else the text itself. Raises UsageError."""
    key, equals, text = word.partition("=")
    path = dotted_keys.path_of(key.strip())
    if not equals or not all(path.split(".")):
        raise UsageError("--set {word}: must be path.to.key=VALUE", word=key)
    if own := HAVE_OPTIONS.get(path):
        raise UsageError("--set {word}: use {option}", word=key, option=own)
    try:
        return path, json.loads(text)
    except ValueError:
        return path, text


def key_of(template: Config, names: tuple[str, ...]) -> str:
    """The path of the key that this template uses of several that mean the same."""
    strategy = _section(template, "strategy_config")
    found = next((name for name in names if strategy.get(name) is not None), names[0])
    return f"strategy_config.{found}"


def foreign_values(template: Config, symbol: str, given: Iterable[str]) -> list[str]:
    """The paths of prices and quantities that are another market's and were not given."""
    return [] if _section(template, "metadata").get("symbol") == symbol else kept_values(template, given)


def kept_values(template: Config, given: Iterable[str]) -> list[str]:
    """The paths of prices and quantities that would stay the template's. A zero is one in every market."""
    answered = {name for path in given for name in _same(path.removeprefix("strategy_config."))}
    strategy = _section(template, "strategy_config")
    return [
        f"strategy_config.{name}" for name in OF_ONE_MARKET if strategy.get(name) and name not in answered
    ]


def option_of(path: str) -> str:
    """How the command line gives this key: `--lower PRICE`, `--set KEY=VALUE`."""
    name = path.removeprefix("strategy_config.")
    return next((option for option, names in OPTIONS.items() if name in names), f"--set {name}=VALUE")


def value_of(config: Config, path: str) -> Any:
    """What stands at a dotted path; None for nothing."""
    found: Any = config
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def filled(template: Config, wanted: Wanted, now: str, *, is_bundled_bot: bool) -> Config:
    """The new config. It trades on paper, whatever the template and the fleet do, unless a setting says live."""
    config = copy.deepcopy(template)
    metadata = {**_section(config, "metadata"), "instance_id": wanted.id, "name": wanted.id}
    metadata |= {"symbol": wanted.symbol, "created_at": now}
    for key in ("description", "updated_at"):  # they speak of the template
        metadata.pop(key, None)
    before = metadata.get("exchange")
    if wanted.exchange not in (None, before):
        metadata["exchange"] = wanted.exchange
        if isinstance(metadata.get("tags"), list):
            metadata["tags"] = [wanted.exchange if each == before else each for each in metadata["tags"]]
        if is_bundled_bot and wanted.exchange in CREDENTIALS:
            config["exchange_config"] = dict(CREDENTIALS[wanted.exchange])
    daemon = {
        **_section(config, "daemon_config"),
        "log_dir": f"logs/{wanted.id}", "db_path": f"database/{wanted.id}.db", "web_port": wanted.port,
    }  # fmt: skip
    config |= {"metadata": metadata, "daemon_config": daemon, "mode": "paper"}
    for path, value in wanted.settings.items():
        _put(config, path, value)
    return config


def _put(config: Config, path: str, value: Any) -> None:
    """Sets a value; another name of the same key would win over it, or stand there as a lie."""
    dotted_keys.put(config, path, value)
    section, _dot, name = path.partition(".")
    for other in _same(name) if section == "strategy_config" else ():
        if other != name:
            config[section].pop(other, None)


def _same(name: str) -> tuple[str, ...]:
    return next((names for names in OPTIONS.values() if name in names), (name,))


def _section(config: Config, name: str) -> Config:
    found = config.get(name)
    return found if isinstance(found, dict) else {}
