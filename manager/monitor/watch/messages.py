"""Alerts → messages: the first line says everything, the rest is for who reads on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from manager.i18n import Text, _, mark
from manager.monitor.watch.alert_rules import Kind
from manager.monitor.watch.alert_state import Alert, Tone

MOST_LINES = 30
MOST_CHARACTERS = 3000
"""Telegram takes 4096, Discord 2000 a piece and cuts by itself."""
MOST_NAMES = 5

KIND_WORDS: Mapping[Kind, str] = {
    "down": mark("down"),
    "failed": mark("failed"),
    "completed": mark("completed"),
    "restarting": mark("crashing"),
    "unhealthy": mark("unhealthy"),
    "oom": mark("out of memory"),
    "no_progress": mark("not trading"),
    "exchange_away": mark("exchange away"),
    "orders_refused": mark("orders refused"),
    "ledger_differs": mark("ledger differs"),
    "stopped_out": mark("stopped out"),
    "restart_loop": mark("never healthy"),
    "cancel": mark("orders not cancelled"),
    "disk": mark("disk"),
    "inodes": mark("inodes"),
    "engine": mark("engine"),
}


class Message(NamedTuple):
    """What is sent. `title` is one line and says everything; `body` may be empty."""

    title: str
    body: str
    tone: Tone


def message(fleet: str, alerts: Sequence[Alert]) -> Message:
    """One message for all of them: a burst is one message."""
    tone: Tone = next(
        (each for each in ("bad", "news", "good") if any(a.tone == each for a in alerts)), "news"
    )
    if len(alerts) == 1:
        return Message(f"botfleet {fleet}: {_line(alerts[0])}", _cut(list(alerts[0].details)), tone)
    lines = [_line(each) for each in alerts]
    title = (
        f"botfleet {fleet}: {lines[0]}" if len(set(lines)) == 1 else f"botfleet {fleet}: {_summary(alerts)}"
    )
    return Message(title, _cut(lines), tone)


def joined(messages: Sequence[Message]) -> Message:
    """Those that have waited for one address, as one."""
    if len(messages) == 1:
        return messages[0]
    last = messages[-1]
    parts = [part for each in messages for part in (each.title, each.body) if part]
    title = str(Text("{title} (and {count} earlier messages)", title=last.title, count=len(messages) - 1))
    return Message(title, _cut("\n".join(parts).splitlines()), last.tone)


def _line(alert: Alert) -> str:
    return " ".join(str(alert.text).split())


def _summary(alerts: Sequence[Alert]) -> str:
    """`38 down, 2 failed, 1 back: bp_a, bp_b, …`."""
    counts = Counter(_("back") if each.tone == "good" else _(KIND_WORDS[each.kind]) for each in alerts)
    names = list(dict.fromkeys(each.subject for each in alerts if each.subject))
    shown = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    return f"{text}: {shown}" if shown else text


def _cut(lines: list[str]) -> str:
    """As many lines as a telephone shows and a service takes."""
    kept: list[str] = []
    size = 0
    for line in lines[:MOST_LINES]:
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            break
        kept.append(line)
    if rest := len(lines) - len(kept):
        kept.append(str(Text("… and {count} more", count=rest)))
    return "\n".join(kept)
