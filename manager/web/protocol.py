"""Define what the two sides say to each other over the Unix socket: one line of JSON each way.

A question is {"verb", "language", "params"}; an answer {"answer"} or {"refusal": {"status", "detail"}}, with
"retry_after" where it is a matter of time.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from manager.errors import ConfigError, EngineUnreachable, Locked, ManagerError, UsageError

SOCKET_NAME = "engine.sock"
MAX_QUESTION = 1 << 16
EVENTS_WAIT_S = 5.0
"""How long the engine side waits for something new before it answers that there is nothing."""
ANSWER_WITHIN_S = 60.0
STATUS_OF = ((UsageError, 404), (EngineUnreachable, 503), (Locked, 409), (ConfigError, 500))

ActionVerb = Literal["start", "stop", "restart", "upgrade", "close", "snooze", "unsnooze", "orders"]
ACTION_VERBS: tuple[ActionVerb, ...] = get_args(ActionVerb)
CHANGES_NOTHING: frozenset[ActionVerb] = frozenset({"snooze", "unsnooze", "orders"})
"""What leaves a bot and its orders as they are: no id is typed for it."""
HALT = "halt"
MAX_TIME = 40
"""Characters of the time until which alerts are left."""
MAX_KEY = 100
"""Maximum length of the key that a client chooses for one action."""


class Refusal(Exception):
    """Say no, with an HTTP status and the reason in the reader's language. `retry_after`: seconds.

    `message`: the reason for readers of other languages.
    """

    def __init__(self, status: int, detail: object = "", retry_after: int | None = None) -> None:
        super().__init__(str(detail))
        self.status, self.detail, self.retry_after = status, str(detail), retry_after
        self.message = detail


def status_of(error: ManagerError) -> int:
    """Return the HTTP status of an error of the manager's."""
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)


def line(content: Any) -> bytes:
    """Return a message as it is sent.

    A file's name may have bytes that are not UTF-8: no answer to a browser could have them.
    """
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(errors="replace") + b"\n"


def question(verb: str, language: str, params: dict[str, Any]) -> bytes:
    """Return a question as it is sent."""
    return line({"verb": verb, "language": language, "params": params})


def answer(raw: bytes) -> Any:
    """Return what an answer holds. Raises Refusal, and ValueError for one that was cut off."""
    if not raw.endswith(b"\n"):
        raise ValueError("cut off")
    content = json.loads(raw)
    if (refusal := content.get("refusal")) is not None:
        raise Refusal(int(refusal["status"]), refusal["detail"], refusal.get("retry_after"))
    return content["answer"]
