"""Read the variables of a bot of the user's own from its image's label, without parsing any program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manager.config.dotenv import NAME
from manager.config.steering import steered_by
from manager.engine import labels

MOST_NAMES = 200


def in_labels(image: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that are recorded in an image, as the engine describes it."""
    text = str(((image.get("Config") or {}).get("Labels") or {}).get(labels.VARIABLES, ""))
    names = sorted({name for name in text.split(",") if NAME.fullmatch(name) and not steered_by(name)})
    return tuple(names[:MOST_NAMES])
