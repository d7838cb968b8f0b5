"""Format alerts as messages: the first line contains everything important. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from manager.i18n import Text, _, labelled, listed
from manager.monitor.watch.alert_state import Alert, Tone
from manager.monitor.watch.kinds import KIND_WORDS
from manager.typed import NamedTuple

MOST_LINES = 30
MOST_CHARACTERS = 3000
"""Telegram accepts 4096, Discord 2000 per part and splits by itself."""
MOST_NAMES = 5


class Message(NamedTuple):
    """Hold what is sent. `title` is one line with everything important; `body` may be empty."""

    title: str
    body: str
    tone: Tone


def message(fleet: str, alerts: Sequence[Alert]) -> Message:
    """Return one message for all alerts, so that a burst causes only one."""
    tone: Tone = next(
        (tone for tone in ("bad", "news", "good") if any(alert.tone == tone for alert in alerts)), "news"
    )
    if len(alerts) == 1:
        return Message(labelled(f"botfleet {fleet}", _line(alerts[0])), _cut(list(alerts[0].details)), tone)
    lines = [_line(alert) for alert in alerts]
    title = labelled(f"botfleet {fleet}", lines[0] if len(set(lines)) == 1 else _summary(alerts))
    return Message(title, _cut(lines), tone)


def withheld(message: Message, secrets: Collection[str]) -> Message:
    """Return the message without these values, which a bot may have printed, or its exchange repeated."""
    return message._replace(title=without(message.title, secrets), body=without(message.body, secrets))


def without(text: str, secrets: Collection[str]) -> str:
    """Return the text without these values."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def joined(messages: Sequence[Message]) -> Message:
    """Return several queued messages as one."""
    if len(messages) == 1:
        return messages[0]
    last = messages[-1]
    parts = [part for message in messages for part in (message.title, message.body) if part]
    title = str(Text("{title} (and {count} earlier messages)", title=last.title, count=len(messages) - 1))
    return Message(title, _cut("\n".join(parts).splitlines()), last.tone)


def _line(alert: Alert) -> str:
    return " ".join(str(alert.text).split())


def _summary(alerts: Sequence[Alert]) -> str:
    """Return `38 down, 2 failed, 1 back: bp_a, bp_b, …`."""
    told = dict.fromkeys((alert.subject, alert.kind, alert.tone == "good") for alert in alerts)
    counts = Counter(_("back") if is_over else _(KIND_WORDS[kind]) for _subject, kind, is_over in told)
    names = list(dict.fromkeys(alert.subject for alert in alerts if alert.subject))
    shown = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
    text = listed(f"{count} {word}" for word, count in counts.items())
    return labelled(text, shown) if shown else text


def _cut(lines: list[str]) -> str:
    """Return as many lines as a phone shows and a service accepts."""
    shown: list[str] = []
    size = 0
    for line in lines[:MOST_LINES]:
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            break
        shown.append(line)
    if rest := len(lines) - len(shown):
        shown.append(str(Text("… and {count} more", count=rest)))
    return "\n".join(shown)
