"""Determine which variables and keys of the files reach a bot, and which reach none. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from manager.config import bot_environment
from manager.config.bot_argv import keys_given
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.variables import references

OF_THE_MANAGER = ("BOTFLEET_*", "MANAGER_*", "COMPOSE_*", "DOCKER_*")
"""Variables that this manager, Docker or Compose read themselves."""


def variables_given(spec: InstanceSpec, fleet: Fleet, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables that the instance's bot receives now, in its mode."""
    for_all = bot_environment.shared_variables(fleet, variables, "")
    given = bot_environment.env_file_values(spec, fleet, for_all, variables)
    return tuple(sorted(name for name, value in given.items() if value and name != "TZ"))


def variables_unused(names: Iterable[str], specs: Iterable[InstanceSpec], fleet: Fleet) -> tuple[str, ...]:
    """Return the names that no bot receives, in whatever mode, and that nothing else uses."""
    used = set(fleet.alert_variables)
    for spec in specs:
        used |= {variable.name for variable in spec.variables}
        used |= {name for text in spec.literals.values() for name, _default in references(text)}
    patterns = (*OF_THE_MANAGER, *fleet.variables)
    return tuple(
        sorted(
            name for name in set(names) - used if not any(fnmatchcase(name, pattern) for pattern in patterns)
        )
    )


def keys_unused(described: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a config that reach no bot: `exchange_config.testnet`, `strategy_config.spread`.

    `described`: the config as it may be shown. Of exchange_config only references reach a bot.
    """
    exchange = _plain_leaves(described.get("exchange_config") or {}, "exchange_config")
    if described.get("bot_args") is not None:
        return tuple(exchange)
    metadata, strategy = described.get("metadata") or {}, described.get("strategy_config") or {}
    given = keys_given(str(metadata.get("strategy")))
    return (*exchange, *(f"strategy_config.{key}" for key in strategy if key not in given))


def _plain_leaves(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _plain_leaves(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _plain_leaves(item, f"{path}[{index}]")
    elif value not in {None, ""} and not (isinstance(value, str) and any(references(value))):
        yield path
