"""What supervisors say, in the reader's language: they speak English, and no catalogue is in their image."""

from __future__ import annotations

import re
from functools import cache

from manager.i18n import Text, mark

SENTENCES = (
    mark("{cause} (auto_restart is off)"),
    mark("{cause} (given up after 1 restart in a row)"),
    mark("{cause} (given up after {count} restarts in a row)"),
    mark("{cause}, but this bot is meant never to end"),
    mark("{cause}, but this bot has no duration after which it may end"),
    mark("{cause} after {seconds} s, before its duration of {duration} s"),
    mark("exit code {code}"),
    mark("{signal} (out of memory)"),
    mark("had to be killed"),
    mark("no answer within {seconds} s"),
    mark("no HTTP answer"),
    mark("connection closed without an answer"),
    mark("Connection refused"),
    mark("unhealthy: {count} probes failed ({cause})"),
    mark("cannot start the bot: {why}"),
    mark("{path} is held by {holder}: no second bot is started here"),
)
"""The first that fits is the one. `cause` is a sentence in its turn."""

LONGEST = 1000
"""Whatever is longer is no sentence of a supervisor."""


def reason(why: str) -> Text:
    """A supervisor's sentence as one that can be translated; one that is not known here stays as it is."""
    if len(why) <= LONGEST:
        for sentence in SENTENCES:
            if match := _pattern(sentence).fullmatch(why):
                parts = match.groupdict()
                return Text(
                    sentence,
                    **{name: reason(part) if name == "cause" else part for name, part in parts.items()},
                )
    return Text("{why}", why=why)


@cache
def _pattern(sentence: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", sentence)
    return re.compile(
        "".join(f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)),
        re.DOTALL,
    )
