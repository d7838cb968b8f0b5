"""The snapshot that decisions look at: what is wanted, what is there, what a person has said. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from manager.engine.containers import Container
from manager.fleet.state_file import FleetState, RejectedRevision
from manager.fleet.status import ELSEWHERE, Status

Drift = Literal["config", "image", "environment"]


class Desired(NamedTuple):
    """One configured instance: the hash its container should bear, and whether its variables' values changed."""

    id: str
    config_hash: str
    web_port: int | None = None
    environment_changed: bool = False


class PlanInput(NamedTuple):
    """One snapshot of everything that a decision may look at."""

    wanted: Mapping[str, Desired]
    containers: Mapping[str, Container]
    verdicts: Mapping[str, Status]
    memory: FleetState
    image_id: str = ""
    kept: frozenset[str] = frozenset()
    """Instances whose config cannot be loaded: neither touched nor taken for orphans."""
    idle: frozenset[str] = frozenset()
    """Instances whose container is up without a bot: its supervisor has found a halt mark."""
    moved: frozenset[str] = frozenset()
    """Instances whose container was made when our folder was elsewhere: it cannot be started again."""

    @property
    def orphans(self) -> list[str]:
        """Containers that no config names."""
        return [each for each in self.containers if each not in self.wanted and each not in self.kept]

    @property
    def present(self) -> list[str]:
        """The instances that have a container, or whose bot runs in one that is not theirs."""
        return [
            *self.containers,
            *(each for each in self.wanted if self.runs_elsewhere(each) and each not in self.containers),
        ]

    def is_stopped_by_wish(self, instance: str) -> bool:
        """Whether a person stopped or halted it and nobody, by whatever means, has started it since."""
        remembered = self.memory.of(instance)
        return (remembered.wish == "stopped" or bool(remembered.halted)) and not self.is_up(instance)

    def is_up(self, instance: str) -> bool:
        """Whether its container is up, and more than a supervisor that idles by a halt mark."""
        container = self.containers.get(instance)
        return container is not None and container.is_up and instance not in self.idle

    def runs_elsewhere(self, instance: str) -> bool:
        """Whether another container runs its bot: to be said, not to be passed over as stopped."""
        verdict = self.verdicts.get(instance)
        return verdict is not None and verdict.word == ELSEWHERE

    def drift(self, instance: str) -> list[Drift]:
        """Return in which ways a container differs from its config."""
        wanted, container = self.wanted.get(instance), self.containers.get(instance)
        if wanted is None or container is None:
            return []
        found: list[Drift] = []
        if container.config_hash != wanted.config_hash:
            found.append("config")
        if self.image_id and container.image_id != self.image_id:
            found.append("image")
        if wanted.environment_changed and container.is_up:
            found.append("environment")
        return found

    def refusal(self, instance: str) -> RejectedRevision | None:
        """Why it is not brought to its config: a roll-out has tried this very config, and taken it back.

        Another image does not change that, for an update must not bring back unasked what failed, and only `upgrade` puts it
        back again; unless the container has that config, so that only the image was refused.
        """
        wanted, refused = self.wanted.get(instance), self.memory.of(instance).refused
        if wanted is None or refused is None or wanted.config_hash != refused.config_hash:
            return None
        if instance not in self.containers:
            return refused
        drift = self.drift(instance)
        return refused if "config" in drift or (drift and self.image_id == refused.image_id) else None

    def refusal_with_image(self, instance: str) -> RejectedRevision | None:
        """Why it is not rolled out again: a roll-out has tried this very config and image, and taken it back."""
        refused = self.refusal(instance)
        return refused if refused and refused.image_id == self.image_id else None

    @property
    def refused_image(self) -> tuple[str, RejectedRevision] | None:
        """The first instance that was taken back from the present image, and why: others are not to get it unasked."""
        for each in self.wanted:
            if "image" in self.drift(each) and (refused := self.refusal_with_image(each)):
                return each, refused
        return None
