"""Convert the old flat config file (`daemon_config.json`) to the sectioned form. Pure."""

from __future__ import annotations

from typing import Any

from manager.config.models import DaemonConfig

LEGACY_KEYS = ("bot_args", "environment")
CARRIED_OVER = ("environment", "mode", "exchange_config")
"""Keys that mean the same in a flat and in a sectioned file."""


def is_legacy(raw: dict[str, Any]) -> bool:
    """Return whether this is the old flat file: daemon keys at the top level, `environment`, `bot_args`."""
    return "metadata" not in raw and any(key in raw for key in (*LEGACY_KEYS, *DaemonConfig.model_fields))


def convert_legacy(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the flat file in the sectioned form. The metadata comes from the options in its `bot_args`."""
    known = {"metadata", *LEGACY_KEYS, *CARRIED_OVER}
    args = raw.get("bot_args")
    arguments = args if isinstance(args, list) else []
    metadata = {
        key: _option(arguments, f"--{key.replace('_', '-')}") or default
        for key, default in (
            ("exchange", "unknown"),
            ("symbol", "unknown"),
            ("strategy", "standard"),
            ("market_type", None),
        )
    }
    if "instance_id" in raw:
        known.add("instance_id")
        metadata["instance_id"] = raw["instance_id"]
    result: dict[str, Any] = {
        "metadata": metadata,
        "daemon_config": {key: value for key, value in raw.items() if key not in known},
        "bot_args": args if args is not None else [],
    }
    for key in CARRIED_OVER:
        if key in raw:
            result[key] = raw[key]
    return result


def _option(arguments: list[Any], name: str) -> Any:
    for index, argument in enumerate(arguments[:-1]):
        if argument == name:
            return arguments[index + 1]
    for argument in arguments:
        if isinstance(argument, str) and argument.startswith(f"{name}="):
            return argument.partition("=")[2]
    return None
