"""Ask the engine side. When it is away, its last answers remain, and say so."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any

from manager import i18n
from manager.i18n import Text
from manager.web import protocol
from manager.web.protocol import Refusal

KEPT = frozenset({"fleet", "instances", "curves"})
"""What the page needs to be there at all. Of no other answer an old one is of use."""
MAX_ANSWER = 1 << 26


class EngineSideAway(Refusal):
    """Say that the engine side does not answer."""

    def __init__(self) -> None:
        super().__init__(503, Text("the part of `manager serve` that watches the fleet does not answer now"))


def _follows(event: str, before: str) -> bool:
    """Return whether an event is the next one."""
    (boot, _dash, number), (boot_before, _dash, number_before) = event.partition("-"), before.partition("-")
    return boot == boot_before and int(number) == int(number_before) + 1


def _changed(kept: Any, event: Any) -> Any:
    """Return the instances after an event."""
    data = event["data"]
    members = {member["id"]: member for member in kept["instances"] if member["id"] not in data["removed"]}
    for instance, changes in data["changed"].items():
        members[instance] = {**members.get(instance, {}), **changes}
    return {
        "looked_at": data["fleet"]["looked_at"],
        "event": event["id"],
        "instances": list(members.values()),
    }


class Link:
    """Ask over the socket at `path`, which may be relative to the working folder."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: dict[tuple[str, str], Any] = {}
        self._away_since: float | None = None

    def ask(self, verb: str, /, **params: Any) -> Any:
        """Return the answer. Raises Refusal; EngineSideAway where there is none, not even an old one."""
        key = (verb, i18n.language())
        try:
            answer = self._ask(protocol.question(verb, key[1], params))
        except (OSError, ValueError) as error:
            self._away_since = self._away_since or time.time()
            if key in self._last:
                return self._aged(verb, self._last[key])
            raise EngineSideAway from error
        self._away_since = None
        if verb in KEPT:
            self._last[key] = answer
        return answer

    def connect(self, instance: str) -> tuple[socket.socket, str]:
        """Return a connection to a bot's own page, and the name it has there. Raises Refusal.

        The engine side opens it, and hands it over: which port it is, is not for this side to say.
        """
        question = protocol.question("bot_page", i18n.language(), {"instance": instance})
        descriptors: list[int] = []
        try:
            with self._connection() as connection:
                connection.sendall(question)
                received, descriptors, _flags, _address = socket.recv_fds(
                    connection, protocol.MAX_QUESTION, 1
                )
                with connection.makefile("rb") as stream:
                    answer = protocol.answer(
                        received if received.endswith(b"\n") else received + stream.readline()
                    )
            return socket.socket(fileno=descriptors.pop()), str(answer["host"])
        except (OSError, ValueError, LookupError) as error:
            raise EngineSideAway from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    async def events(self, after: str) -> Any:
        """Return what is new behind that event. Raises EngineSideAway."""
        params = {"after": after, "wait": protocol.EVENTS_WAIT_S}
        try:
            async with asyncio.timeout(protocol.ANSWER_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_ANSWER)
                try:
                    writer.write(protocol.question("events", i18n.language(), params))
                    return self._noted(protocol.answer(await reader.readline()))
                finally:
                    writer.close()
        except (OSError, ValueError) as error:
            self._away_since = self._away_since or time.time()
            raise EngineSideAway from error

    def _noted(self, answer: Any) -> Any:
        """Return the events, and keep what they tell: a page asks for the whole only once, when it is opened.

        Only the next event after what is kept: readers are not all at the same one.
        """
        language = i18n.language()
        for event in answer["events"]:
            kept = self._last.get(("instances", language))
            if event["name"] == "look" and kept is not None and _follows(event["id"], kept["event"]):
                self._last["fleet", language] = event["data"]["fleet"]
                self._last["instances", language] = _changed(kept, event)
        return answer

    def fleet_without_engine_side(self) -> Any:
        """Return the fleet as it was last seen, with the error; None if it never was."""
        last = self._last.get(("fleet", i18n.language()))
        return None if last is None else self._aged("fleet", last)

    def _aged(self, verb: str, answer: Any) -> Any:
        if verb != "fleet":
            return answer
        return {**answer, "error": EngineSideAway().detail, "error_since": self._away_since}

    def _ask(self, question: bytes) -> Any:
        with self._connection() as connection:
            connection.sendall(question)
            with connection.makefile("rb") as stream:
                return protocol.answer(stream.readline())

    def _connection(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(protocol.ANSWER_WITHIN_S)
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection
