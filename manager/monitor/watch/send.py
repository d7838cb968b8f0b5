"""Send one message through apprise, in a separate process: JSON on standard input, JSON out.

A process that hangs can be killed, its memory (30 MB) is released, and its logs, which may contain addresses,
are discarded. In: `{"url", "title", "body", "tone"}`. Out: `{"ok", "why"}`, `why` empty, or a short text
without an address.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

TYPES = {"bad": "failure", "good": "success", "news": "info"}
STATUS = re.compile(r"error=(\d{3})\b")


class _Status(logging.Handler):
    """Collect only the HTTP status from apprise's log, because the rest may contain an address."""

    def __init__(self) -> None:
        super().__init__()
        self.http_status = ""

    def emit(self, record: logging.LogRecord) -> None:
        if match := STATUS.search(record.getMessage()):
            self.http_status = f"HTTP {match[1]}"


def send(message: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the message was sent, and if not, a hint."""
    import apprise

    status = _Status()
    log = logging.getLogger("apprise")
    log.handlers, log.propagate = [status], False
    log.setLevel(logging.DEBUG)
    asset = apprise.AppriseAsset(app_id="botfleet", app_desc="botfleet", app_url="", secure_logging=True)
    service = apprise.Apprise(asset=asset)
    if not service.add(message["url"]):
        return False, "unknown"
    title, body = message["title"], message["body"]
    if not body:  # which apprise refuses; said twice only where a subject line wants it
        title, body = title if message["url"].lower().startswith("mailto") else "", title
    is_sent = bool(
        service.notify(
            title=title,
            body=body,
            notify_type=apprise.NotifyType(TYPES[message["tone"]]),
            body_format=apprise.NotifyFormat.TEXT,  # an id's underscores are no markup
        )
    )
    return is_sent, "" if is_sent else status.http_status


def main() -> int:
    """Read, send, answer."""
    ok, why = send(json.load(sys.stdin))
    json.dump({"ok": ok, "why": why}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
