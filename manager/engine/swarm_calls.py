"""Call the Swarm that this machine's engine manages, through the Docker SDK. One call per method.

Every failure is one of our errors; an engine that manages no Swarm is one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from manager.engine import endpoint, labels
from manager.engine.docker_sdk import Sdk
from manager.engine.http_socket import CALL_TIMEOUT_S
from manager.engine.streams import STREAMS, Stream
from manager.engine.swarm_stack import NAMESPACE
from manager.errors import EngineError, NotFound

OUT_OF_SEQUENCE = "update out of sequence"
TRIES = 8
"""For a change that another one came before: each is made on what was read just before."""
NO_LEADER = ("does not have a leader", "no elected primary", "too few managers", "context deadline exceeded")
NO_MANAGER = ("not a swarm manager", "not part of a swarm", "is a worker")

SwarmObject = dict[str, Any]


class NotManaged(EngineError):
    """Signal that this engine belongs to no Swarm, or is only a worker in one."""


class NoLeader(EngineError):
    """Signal that the Swarm's managers have no majority: nothing can be changed, and all bots go on."""


class SwarmCalls:
    """Read and change services, tasks and nodes. Every method raises EngineError, or a subclass."""

    def __init__(self) -> None:
        self.endpoint = endpoint.of(os.environ)
        self._sdk = Sdk(4, self.endpoint)

    def close(self) -> None:
        """Close the connections."""
        self._sdk.close()

    def services(self, fleet: str) -> list[SwarmObject]:
        """Return the services of this fleet's instances."""
        return list(self._call("GET", "/services", {"filters": {"label": _of_fleet(fleet)}}))

    def tasks(self, fleet: str) -> list[SwarmObject]:
        """Return the tasks of these services, ended ones too as far as the Swarm keeps them."""
        return list(self._call("GET", "/tasks", {"filters": {"label": _of_fleet(fleet)}}))

    def nodes(self) -> list[SwarmObject]:
        """Return the Swarm's nodes."""
        return list(self._call("GET", "/nodes"))

    def fleets(self) -> list[str]:
        """Return the names of the fleets that have services here."""
        services = self._call("GET", "/services", {"filters": {"label": [labels.INSTANCE]}})
        return sorted({name for row in services if (name := row["Spec"]["Labels"].get(NAMESPACE))})

    def settings(self) -> SwarmObject:
        """Return the Swarm's own settings: heartbeat, kept tasks, …"""
        return dict(self._call("GET", "/swarm"))

    def set_replicas(self, service: str, count: int) -> None:
        """Have this service run so many tasks: 0 or 1."""

        def change(present: SwarmObject) -> SwarmObject:
            spec = dict(present["Spec"])
            mode = dict(spec.get("Mode") or {})
            if (mode.get("Replicated") or {}).get("Replicas") == count:
                return {}
            spec["Mode"] = {"Replicated": {"Replicas": count}}
            return spec

        self._change(f"/services/{service}", change)

    def set_node_labels(self, node: str, wanted: Mapping[str, str | None]) -> None:
        """Set labels of a node, and remove those whose value is None."""

        def change(present: SwarmObject) -> SwarmObject:
            spec = dict(present["Spec"])
            before = dict(spec.get("Labels") or {})
            after = {name: value for name, value in {**before, **wanted}.items() if value is not None}
            if after == before:
                return {}
            spec["Labels"] = after
            return spec

        self._change(f"/nodes/{node}", change)

    def remove_service(self, service: str) -> None:
        """Remove a service. A missing one is no error."""
        with suppress(NotFound):
            self._call("DELETE", f"/services/{service}")

    def remove_secrets(self, fleet: str, instance: str) -> None:
        """Remove an instance's secrets, but for one that is in use."""
        filters = {"label": [f"{labels.INSTANCE}={instance}", f"{labels.INSTANCE}.fleet={fleet}"]}
        for secret in self._call("GET", "/secrets", {"filters": filters}):
            with suppress(EngineError):
                self._call("DELETE", f"/secrets/{secret['ID']}")

    def remove_network(self, name: str) -> None:
        """Remove a service's network. A missing one, or one in use, is no error."""
        with suppress(EngineError):
            self._call("DELETE", f"/networks/{name}")

    def logs(
        self, service: str, *, follow: bool, tail: int | None, since: float | None
    ) -> Iterator[tuple[Stream, bytes]]:
        """Yield (stream, frame) pairs of a service's output, each with its timestamp."""
        query = {
            "timestamps": "1",
            "follow": str(int(follow)),
            "tail": "all" if tail is None else str(tail),
            **dict.fromkeys(STREAMS, "1"),
            **({} if since is None else {"since": str(int(since))}),
        }
        return self._sdk.frames(f"/services/{service}/logs", query, follow=follow)

    def _change(self, api: str, change: Any) -> None:
        """Change what is there by its newest version, again where another change came before."""
        for attempt in range(TRIES):
            current = self._call("GET", api)
            if not (spec := change(current)):
                return
            version = current["Version"]["Index"]
            try:
                self._call("POST", f"{api}/update", {"version": version}, spec)
            except EngineError as error:
                if OUT_OF_SEQUENCE not in str(error) or attempt == TRIES - 1:
                    raise
            else:
                return

    def _call(
        self, method: str, api: str, query: Mapping[str, Any] | None = None, body: SwarmObject | None = None
    ) -> Any:
        try:
            return self._sdk.call(method, api, query, body, CALL_TIMEOUT_S)
        except EngineError as error:
            raise _meant(error) from error


def _of_fleet(fleet: str) -> list[str]:
    return [f"{NAMESPACE}={fleet}", labels.INSTANCE]


def _meant(error: EngineError) -> EngineError:
    """Return the error in words that say what to do."""
    text = str(error)
    if any(words in text for words in NO_MANAGER):
        return NotManaged(
            "this machine manages no Docker Swarm ({why}); run the command on one of the Swarm's managers",
            why=text,
        )
    if any(words in text for words in NO_LEADER):
        return NoLeader(
            "the Swarm has no leader, because most of its managers do not answer ({why}). Nothing can be"
            " changed, and its bots run on: stop one on its own node, with `docker ps` and `docker stop`",
            why=text,
        )
    return error
