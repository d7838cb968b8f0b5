"""Bound how many event streams each role reads at once: who may only look must not keep out who may halt."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from manager.i18n import Text
from manager.web.access import Role
from manager.web.protocol import Refusal

MOST_OF_ROLE = 40
"""The engine side answers 128 at once: the streams of all three roles leave room for what is asked for."""


class Streams:
    """Count the streams that are read."""

    def __init__(self) -> None:
        self._open: Counter[Role] = Counter()

    def counted(self, role: Role, stream: AsyncIterator[str]) -> AsyncIterator[str]:
        """Return the stream, which counts while it is read. Raises Refusal: the role has too many."""
        if self._open[role] >= MOST_OF_ROLE:
            raise Refusal(
                503, Text("{count} streams of the role {role} are open", count=MOST_OF_ROLE, role=role)
            )
        return self._read(role, stream)

    async def _read(self, role: Role, stream: AsyncIterator[str]) -> AsyncIterator[str]:
        self._open[role] += 1
        try:
            async for text in stream:
                yield text
        finally:
            self._open[role] -= 1
