"""A network of the engine in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class FakeNetwork(NamedTuple):
    """A network, of which there can be two of one name."""

    id: str
    name: str
    created: str = ""
    labels: Mapping[str, str] = {}
    options: Mapping[str, str] = {}

    def row(self) -> dict[str, Any]:
        """Return what the engine tells of it."""
        return {
            "Id": self.id,
            "Name": self.name,
            "Created": self.created,
            "EnableIPv6": False,
            "Labels": dict(self.labels),
            "Options": dict(self.options),
        }
