"""Define what decisions are based on: desired state, actual state, and the user's requests. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from manager.engine.containers import Container
from manager.fleet.definition_drift import DriftedPart
from manager.fleet.state_file import FleetState, RejectedRevision
from manager.fleet.status import IN_OTHER_CONTAINER, Status
from manager.fleet.tombstone import Tombstone
from manager.i18n import Text
from manager.typed import Literal, NamedTuple

Drift = Literal[
    "config",
    "image",
    "environment",
    "network",
    "mounts",
    "user",
    "other image",
    "limits",
    "restart policy",
    "shares",
    "settings",
]


class Desired(NamedTuple):
    """Describe one configured instance: the expected config hash, and whether its variables' values
    changed.
    """

    id: str
    config_hash: str
    web_port: int | None = None
    environment_changed: bool = False
    reread: tuple[str, ...] = ()
    """Variables of a live bot that were given to it as earlier versions read them from .env."""


class PlanInput(NamedTuple):
    """Hold everything that a decision may be based on."""

    wanted: Mapping[str, Desired]
    containers: Mapping[str, Container]
    statuses: Mapping[str, Status]
    fleet_state: FleetState
    image_id: str = ""
    held_back: frozenset[str] = frozenset()
    """Instances whose config cannot be loaded: neither touched nor treated as orphans."""
    idle: frozenset[str] = frozenset()
    """Instances whose container is up without a bot, because its supervisor found a halt mark."""
    ended: Mapping[str, Status] = MappingProxyType({})
    """Instance → how it ended, if its supervisor has given up or its bot is done, also where its container
    was stopped afterwards."""
    moved: frozenset[str] = frozenset()
    """Instances whose container was made when our folder had another path: it cannot be started again."""

    untrusted: Mapping[str, Text] = MappingProxyType({})
    """Instance → why its config is refused: neither created from it nor given its variables."""
    made: Mapping[str, tuple[DriftedPart, ...]] = MappingProxyType({})
    """Instance → in what its container was made otherwise than its config says."""
    outgrown: frozenset[str] = frozenset()
    """Instances whose limits are others, and whose bot may use more memory now than its config allows."""
    tombstones: Mapping[str, Tombstone] = MappingProxyType({})
    """Instances that were moved to another machine: nothing starts them here."""

    @property
    def orphans(self) -> list[str]:
        """Return the instances that have a container but no config."""
        return [
            instance
            for instance in self.containers
            if instance not in self.wanted and instance not in self.held_back
        ]

    @property
    def present(self) -> list[str]:
        """Return the instances that have a container, or whose bot runs in another one."""
        return [
            *self.containers,
            *(
                instance
                for instance in self.wanted
                if self.runs_in_other_container(instance) and instance not in self.containers
            ),
        ]

    def is_stopped_by_wish(self, instance: str) -> bool:
        """Return whether a user stopped or halted it, and it was not started since by any means."""
        saved = self.fleet_state.of(instance)
        return (saved.wish == "stopped" or bool(saved.halted)) and not self.is_up(instance)

    def is_up(self, instance: str) -> bool:
        """Return whether its container is up, and its supervisor is not idle because of a halt mark."""
        container = self.containers.get(instance)
        return container is not None and container.is_up and instance not in self.idle

    def runs_in_other_container(self, instance: str) -> bool:
        """Return whether another container runs its bot, which must not be treated as stopped."""
        status = self.statuses.get(instance)
        return status is not None and status.detail == IN_OTHER_CONTAINER

    def drift(self, instance: str) -> list[Drift]:
        """Return in which ways a container differs from its config."""
        wanted, container = self.wanted.get(instance), self.containers.get(instance)
        if wanted is None or container is None:
            return []
        drift: list[Drift] = []
        if container.config_hash != wanted.config_hash:
            drift.append("config")
        if self.image_id and container.image_id != self.image_id:
            drift.append("image")
        if wanted.environment_changed and container.is_up and instance not in self.untrusted:
            drift.append("environment")
        if container.is_off_network:
            drift.append("network")
        if "config" not in drift:  # else the new config is the reason
            drift += self.made.get(instance, ())
        return drift

    def refusal(self, instance: str) -> RejectedRevision | None:
        """Return why its config is not applied: a roll-out tried this very config and rolled it back.

        A new image does not change that, because only `upgrade` may retry what failed; unless the container
        has that config, so that only the image was rejected.
        """
        wanted, refused = self.wanted.get(instance), self.fleet_state.of(instance).refused
        if wanted is None or refused is None or wanted.config_hash != refused.config_hash:
            return None
        if instance not in self.containers:
            return refused
        drift = self.drift(instance)
        return refused if "config" in drift or (drift and self.image_id == refused.image_id) else None

    def refusal_with_image(self, instance: str) -> RejectedRevision | None:
        """Return why it is not upgraded again: a roll-out tried this config and image and rolled them
        back.
        """
        refused = self.refusal(instance)
        return refused if refused and refused.image_id == self.image_id else None

    @property
    def refused_image(self) -> tuple[str, RejectedRevision] | None:
        """Return the first instance that was rolled back from the present image: others do not get it
        unasked.
        """
        for instance in self.wanted:
            if "image" in self.drift(instance) and (refused := self.refusal_with_image(instance)):
                return instance, refused
        return None
