"""A bot's two outputs, by the names that files and JSON use."""

from __future__ import annotations

from typing import Literal

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
