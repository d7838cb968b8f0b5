"""Map engine state, health and the supervisor's state to one of our few states. Total and pure."""

from collections.abc import Mapping

from manager.engine.containers import Container
from manager.fleet.supervisor_state import FINAL, SupervisorState
from manager.i18n import Text
from manager.typed import Literal, NamedTuple

State = Literal[
    "starting", "running", "unhealthy", "restarting", "failed", "completed", "stopped", "missing", "orphan"
]


IN_OTHER_CONTAINER = "elsewhere"
"""The detail of an instance whose bot runs in a container that is not its own."""


PAUSED = "paused"
"""The detail of an instance whose container is suspended: nothing in it runs until it is unpaused."""


STOPPING = "stopping"
"""The detail of an instance whose supervisor was told to stop: its bot ends in a moment."""


class Status(NamedTuple):
    """Hold the state, a more specific word of the engine or supervisor, and the reason.

    `underlying`: an orphan's state if it had a config.
    """

    state: State
    detail: str = ""
    why: Text | None = None
    underlying: State | None = None

    @property
    def is_final(self) -> bool:
        """Return whether its supervisor has given up, or its bot is done: only a user's request starts it
        again.
        """
        return self.state in FINAL

    @property
    def own_state(self) -> State:
        """Return the state, for an orphan its own: a bot without a config trades nevertheless."""
        return self.underlying or self.state

    @property
    def is_running(self) -> bool:
        """Return whether it does what it should: what the old system calls running."""
        return self.own_state in {"starting", "running"}


def derive_status(
    container: Container | None,
    supervisor: SupervisorState | None,
    *,
    configured: bool,
    uptime: float,
    other_container: str | None = None,
    unwritten: str = "",
) -> Status:
    """Return the instance's status. `uptime`: of the host, in seconds, to detect a silent supervisor.

    `other_container`: the id of another container that runs its bot, such as a Compose one-off, or one of
    another engine. `unwritten`: the folder to which its supervisor should have written by now.
    """
    if other_container is not None:
        why = Text(
            "its bot runs in container {container}, which is not the instance's own",
            container=other_container[:12],
        )
        return Status("unhealthy", IN_OTHER_CONTAINER, why)
    if container is None:
        return Status("missing")
    if unwritten:
        why = Text(
            "its supervisor cannot write to {folder}; `docker logs {container}` says why",
            folder=unwritten,
            container=container.name,
        )
        known = Status("unhealthy", "silent", why)
    else:
        known = _of_container(container, supervisor, uptime)
    if configured:
        return known
    why = known.why or Text("not used by any config")
    return Status("orphan", known.detail or known.state, why, underlying=known.state)


def all_ended(
    containers: Mapping[str, Container], supervisors: Mapping[str, SupervisorState | None]
) -> dict[str, Status]:
    """Return instance → how its container's bot has ended for good, whether the container is up or not."""
    ended: dict[str, Status] = {}
    for instance, container in containers.items():
        supervisor = supervisors.get(instance)
        if supervisor is not None and supervisor.container == container.id:
            match supervisor.state:
                case "failed" | "completed" as state:
                    ended[instance] = Status(state, why=supervisor.message)
    return ended


def _of_container(container: Container, supervisor: SupervisorState | None, uptime: float) -> Status:
    match container.engine_state:
        case "running":
            if (
                supervisor is None
                or supervisor.container != container.id
                or supervisor.is_older_than_boot(uptime)
                or _is_of_earlier_run(supervisor, container, uptime)
            ):
                return _by_engine_health(container)
            return _by_supervisor(supervisor, uptime)
        case "exited":
            return Status("stopped", why=_exit_text(container))
        case "created":
            return Status("stopped", "created", Text("created but never started"))
        case "paused":
            return Status("unhealthy", PAUSED, Text("paused: its processes are suspended"))
        case "restarting":
            return Status("restarting", why=_exit_text(container))
        case "removing":
            return Status("stopped", "removing")
        case "dead":
            return Status("failed", "dead", Text("the engine could not remove it"))
        case other:
            return Status("unhealthy", other, Text("engine state: {word}", word=other))


def _is_of_earlier_run(supervisor: SupervisorState, container: Container, uptime: float) -> bool:
    """Return whether a container that was just started again still shows what its last run left.

    The engine rounds a container's age down to seconds. What says that the run has ended is taken for an
    earlier run's from the whole second on: a bot that ends in its first second is the rarer case. Who idles
    because of a halt has just been started: its word is written at the start, and then rarely.
    """
    if container.up_seconds is None or supervisor.is_halted:
        return False
    margin = 0 if supervisor.state == "stopped" else 1
    return uptime - supervisor.updated_uptime > container.up_seconds + margin


def _by_supervisor(supervisor: SupervisorState, uptime: float) -> Status:
    if supervisor.is_stale(uptime):
        silence = round(uptime - supervisor.updated_uptime)
        return Status(
            "unhealthy", "silent", Text("its supervisor has not reported for {seconds} s", seconds=silence)
        )
    why = supervisor.message
    match supervisor.state:
        case "starting" | "running" | "unhealthy" | "restarting" | "failed" | "completed" as state:
            return Status(state, why=why)
        case "stopping":
            return Status("unhealthy", STOPPING, why or Text("it is being stopped"))
        case "stopped":  # the bot is gone; the engine's list is a moment behind
            return Status("stopped", why=why)
        case other:
            return Status("unhealthy", other, why)


def _by_engine_health(container: Container) -> Status:
    """Return the status if the state file cannot be read: rootless data, another user, a new container."""
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
