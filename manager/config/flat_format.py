"""The old flat config file (`daemon_config.json`) in the sectioned form. Pure."""

from __future__ import annotations

from typing import Any

from manager.config.models import DaemonConfig

LEGACY_KEYS = ("bot_args", "environment")
CARRIED_OVER = ("environment", "mode", "exchange_config")
"""What a flat file says in the same words as a sectioned one."""


def is_legacy(raw: dict[str, Any]) -> bool:
    """Whether this is the old flat file: daemon keys at the top, `environment`, `bot_args`."""
    return "metadata" not in raw and any(key in raw for key in (*LEGACY_KEYS, *DaemonConfig.model_fields))


def from_legacy(raw: dict[str, Any]) -> dict[str, Any]:
    """The flat file in the sectioned form. What its `bot_args` say of the bot becomes the metadata."""
    known = {"metadata", *LEGACY_KEYS, *CARRIED_OVER}
    args = raw.get("bot_args")
    words = args if isinstance(args, list) else []
    metadata = {
        key: _option(words, f"--{key.replace('_', '-')}") or default
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


def _option(words: list[Any], name: str) -> Any:
    for index, word in enumerate(words[:-1]):
        if word == name:
            return words[index + 1]
    for word in words:
        if isinstance(word, str) and word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None
