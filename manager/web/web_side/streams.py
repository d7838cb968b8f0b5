"""Bound how many event streams each role reads at once: who may only look must not keep out who may halt."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from manager.i18n import Text
from manager.web.access import Role
from manager.web.protocol import Refusal

MOST_OF_ROLE = 40
"""The engine side answers 192 at once: the streams of all three roles leave room for all threads here."""


class Streams:
    """Count the streams that are read."""

    def __init__(self) -> None:
        self._open: Counter[Role] = Counter()

    def response(self, role: Role, stream: AsyncIterator[str]) -> StreamingResponse:
        """Return the response that sends the stream; instead of that it raises Refusal if the role has too
        many.
        """
        return _Counted(self._open, role, stream)


class _Counted(StreamingResponse):
    """Count while it is sent. Nothing comes between the check and the count: many are asked for at once."""

    def __init__(self, open_of_roles: Counter[Role], role: Role, stream: AsyncIterator[str]) -> None:
        super().__init__(stream, media_type="text/event-stream")
        self._open, self._role = open_of_roles, role

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open[self._role] >= MOST_OF_ROLE:
            raise Refusal(
                503, Text("{count} streams of the role {role} are open", count=MOST_OF_ROLE, role=self._role)
            )
        self._open[self._role] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open[self._role] -= 1
