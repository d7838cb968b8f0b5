"""Parse the English sentences of supervisors that write no codes (contract 1), so that they can be
translated.

Such supervisors run until their bots are upgraded. New reasons get a code in supervisor_messages.py, and none
here.
"""

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
"""The first match is used. `cause` is itself a sentence."""

LONGEST = 1000
"""A longer text is not a supervisor's sentence."""


def parsed(sentence: str) -> Text:
    """Return a supervisor's sentence so that it can be translated; an unknown one is kept as it is."""
    if len(sentence) <= LONGEST:
        for template in SENTENCES:
            if match := _pattern(template).fullmatch(sentence):
                parts = match.groupdict()
                return Text(
                    template,
                    **{name: parsed(part) if name == "cause" else part for name, part in parts.items()},
                )
    return Text("{why}", why=sentence)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)),
        re.DOTALL,
    )
