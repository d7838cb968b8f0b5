"""A config's keys, named by dotted paths. Pure."""

from __future__ import annotations

from typing import Any

from manager.config.models import DaemonConfig, Metadata, StrategyConfig

SECTIONS = {
    "metadata": Metadata.model_fields,
    "daemon_config": DaemonConfig.model_fields,
    "strategy_config": StrategyConfig.model_fields,
}


def path_of(key: str) -> str:
    """A key's dotted path; a key alone is in the section that knows it."""
    if "." in key:
        return key
    return next((f"{section}.{key}" for section, known in SECTIONS.items() if key in known), key)


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Sets a value by its dotted path; a key alone goes into the section that knows it."""
    *sections, last = path_of(key).split(".")
    for section in sections:
        if not isinstance(data.setdefault(section, {}), dict):
            data[section] = {}
        data = data[section]
    data[last] = value
