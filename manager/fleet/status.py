"""Engine state, health and the supervisor's word → one of our few states. One function, total. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from manager.engine.containers import Container
from manager.fleet.supervisor_state import FINAL, SupervisorState
from manager.i18n import Text

State = Literal[
    "starting", "running", "unhealthy", "restarting", "failed", "completed", "stopped", "missing", "orphan"
]


ELSEWHERE = "elsewhere"
"""The word for an instance whose bot runs in a container that is not its own."""


class Status(NamedTuple):
    """The state, the engine's or supervisor's own word where it says more, and why.

    `inner`: what an orphan's state would be if a config named it.
    """

    state: State
    word: str = ""
    why: Text | None = None
    inner: State | None = None

    @property
    def is_final(self) -> bool:
        """Whether its supervisor has given up, or its bot is done: only a person's word starts it again."""
        return self.state in FINAL

    @property
    def is_running(self) -> bool:
        """Whether it does what it should: what the old system calls running."""
        return (self.inner or self.state) in {"starting", "running"}


def verdict(
    container: Container | None,
    supervision: SupervisorState | None,
    *,
    configured: bool,
    uptime: float,
    elsewhere: str | None = None,
) -> Status:
    """What is so of an instance. `uptime`: the host's, in seconds, against which silence is measured.

    `elsewhere`: the id of another container that runs its bot, such as a one-off of Compose's or one of another engine.
    """
    if elsewhere is not None:
        why = Text("its bot runs in container {container}, which is not its own", container=elsewhere[:12])
        return Status("unhealthy", ELSEWHERE, why)
    if container is None:
        return Status("missing")
    known = _of_container(container, supervision, uptime)
    if configured:
        return known
    why = known.why or Text("not used by any config")
    return Status("orphan", known.word or known.state, why, inner=known.state)


def _of_container(container: Container, supervision: SupervisorState | None, uptime: float) -> Status:
    match container.engine_state:
        case "running":
            if (
                supervision is None
                or supervision.container != container.id
                or supervision.is_older_than_boot(uptime)
            ):
                return _by_engine_health(container)
            return _by_supervisor(supervision, uptime)
        case "exited":
            return Status("stopped", why=_exit_text(container))
        case "created":
            return Status("stopped", "created", Text("it was made and never started"))
        case "paused":
            return Status("unhealthy", "paused", Text("it is paused: nothing in it runs"))
        case "restarting":
            return Status("restarting", why=_exit_text(container))
        case "removing":
            return Status("stopped", "removing")
        case "dead":
            return Status("failed", "dead", Text("the engine could not remove it"))
        case other:
            return Status("unhealthy", other, Text("the engine calls it “{word}”", word=other))


def _by_supervisor(supervision: SupervisorState, uptime: float) -> Status:
    if supervision.is_stale(uptime):
        silence = round(uptime - supervision.updated_uptime)
        return Status(
            "unhealthy", "silent", Text("its supervisor has said nothing for {seconds} s", seconds=silence)
        )
    why = supervision.message
    match supervision.state:
        case "starting" | "running" | "unhealthy" | "restarting" | "failed" | "completed" as state:
            return Status(state, why=why)
        case "stopping":
            return Status("unhealthy", "stopping", why or Text("it is being stopped"))
        case "stopped":  # the bot is gone; the engine's list is a moment behind
            return Status("stopped", why=why)
        case other:
            return Status("unhealthy", other, why)


def _by_engine_health(container: Container) -> Status:
    """Where the state file cannot be read: rootless data, another user, the first moments of a container."""
    match container.health:
        case "healthy":
            return Status("running")
        case "unhealthy":
            return Status("unhealthy", why=Text("the engine's health check fails"))
        case _:
            return Status("starting")


def _exit_text(container: Container) -> Text | None:
    if container.exit_code is None:
        return None
    return Text("container exit code {code}", code=container.exit_code)
