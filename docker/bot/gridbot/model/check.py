"""Describe one check before real money: how it went, what was seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """Name how a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """Hold a code of the bot contract with its parameters, and the sentences that say the same in English.

    `remedy` is empty where there is nothing to do.
    """

    code: str
    level: Level
    text: str
    remedy: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the line that the pre-flight program prints."""
        return {
            "level": self.level.value,
            "code": self.code,
            "params": dict(self.params),
            "text": self.text,
            "remedy": self.remedy,
        }
