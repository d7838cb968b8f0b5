"""Address the keys of a config by dotted paths. Pure."""

from __future__ import annotations

from typing import Any

from manager.config.models import DaemonConfig, Metadata, StrategyConfig

SECTIONS = {
    "metadata": Metadata.model_fields,
    "daemon_config": DaemonConfig.model_fields,
    "strategy_config": StrategyConfig.model_fields,
}


def full_path(key: str) -> str:
    """Return a key's dotted path; a key without a section is looked up in the known sections."""
    if "." in key:
        return key
    return next((f"{section}.{key}" for section, known in SECTIONS.items() if key in known), key)


def set_value(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a value by its dotted path; a key without a section goes into the section that knows it."""
    *sections, last = full_path(key).split(".")
    for section in sections:
        if not isinstance(data.setdefault(section, {}), dict):
            data[section] = {}
        data = data[section]
    data[last] = value
