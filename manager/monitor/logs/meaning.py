"""Tell what a line of a bot's log says: its level, and the fill that it tells of. Pure."""

import re
from collections.abc import Mapping

from manager.typed import Literal, NamedTuple
from manager.util.time_parse import LINE_STAMP

Level = Literal["debug", "info", "warning", "error", "critical"]

LEVEL = re.compile(
    rf"^{LINE_STAMP.pattern.decode()}\S*\s+(?:[-|:]\s*)?\[?"
    r"(?P<level>DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\b"
)
"""A level counts only behind the time stamp: the word may stand in any sentence."""
FILL = re.compile(r"\bfilled (BUY|SELL)\s+([0-9.]+)(?: of [0-9.]+)? @ ([0-9.]+)", re.IGNORECASE)
WORDS: Mapping[str, Level] = {
    "DEBUG": "debug",
    "INFO": "info",
    "WARN": "warning",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "critical",
    "FATAL": "critical",
}
COLOURS: Mapping[Level, str] = {
    "debug": "2",
    "info": "",
    "warning": "33",
    "error": "31",
    "critical": "1;31",
}
BUY, SELL = "32", "35"
MOST = 1000
"""Characters in which level and fill are looked for."""


class Fill(NamedTuple):
    """Hold a fill as the bot has logged it; amounts as text."""

    side: str
    quantity: str
    price: str


def level(text: str) -> Level | None:
    """Return the level of a line that begins with a time stamp and a level."""
    match = LEVEL.match(text[:MOST])
    return WORDS[match["level"]] if match else None


def fill(text: str) -> Fill | None:
    """Return the fill that a line tells of."""
    match = FILL.search(text[:MOST])
    return Fill(match[1].lower(), match[2], match[3]) if match else None


def colour(text: str) -> str:
    """Return the terminal colour of a line, as the parameter of its escape sequence; empty for none."""
    if match := fill(text):
        return BUY if match.side == "buy" else SELL
    return COLOURS[level(text) or "info"]
