"""Hold the facts that doctor judges, as plain data. None means unknown, which is not a fault."""

from __future__ import annotations

from typing import Literal

from manager.i18n import Text
from manager.typed import NamedTuple

Mend = Literal["up", "restart", "start", "upgrade", "config"]
"""The command that mends an instance; `config`: none does before its config is corrected."""
ImageMend = Literal["recreate", "named", "upgrade"]
"""`manager up --recreate`, the same with its id, or `manager upgrade` with its id."""


class ClientFacts(NamedTuple):
    """Hold the programs on the client's side. Versions as these programs print them."""

    endpoint: str = ""
    compose: str | None = None
    buildx: str | None = None
    python: str = ""
    missing_packages: tuple[str, ...] = ()
    is_from_wheel: bool = False
    """The manager was installed by pip or pipx; it does not run from a checkout, which has a Makefile."""
    builder: str | None = None
    """A docker command that can build images without buildx; only looked for where buildx is missing."""
    buildx_remedy: Text = Text("")
    compose_remedy: Text = Text("")
    proxies_file: str = ""
    """The docker command's settings, if they have proxies for containers."""


class EngineFacts(NamedTuple):
    """Hold the Docker Engine. `clock_offset`: its clock minus ours, in seconds; `memory` in bytes."""

    version: str
    api: str
    storage_driver: str
    log_driver: str
    live_restore: bool
    cgroup: str
    is_rootless: bool
    cores: int
    memory: int
    root_dir: str
    clock_offset: float | None = None
    maps_users: bool = False
    is_anothers: bool = False
    """A user's rootless engine, asked by root."""
    limits_memory: bool = True
    limits_pids: bool = True
    limits_swap: bool = True
    filters_bridge: bool = True
    has_cgroups: bool = True
    warnings: tuple[str, ...] = ()
    uses_selinux: bool = False
    is_desktop: bool = False
    is_podman: bool = False
    """Podman, which answers in the words of the Docker Engine's API."""

    @property
    def unkept(self) -> frozenset[str]:
        """Return the limits that it cannot keep, as their names in its API."""
        can_keep = {
            "Memory": self.limits_memory,
            "MemorySwap": self.limits_memory and self.limits_swap,
            "PidsLimit": self.limits_pids,
        }
        return frozenset(name for name, is_kept in can_keep.items() if not is_kept)


class Disk(NamedTuple):
    """Hold a file system and a path on it. Sizes in bytes; `inodes` is 0 where it does not count them."""

    path: str
    type: str
    size: int
    free: int
    inodes: int
    free_inodes: int


class HostFacts(NamedTuple):
    """Hold the machine.

    `load`: the five-minute average; `rtc_offset`: the hardware clock minus ours, in seconds.
    """

    cores: int
    memory: int
    load: float
    is_clock_synchronised: bool | None = None
    rtc_offset: float | None = None
    inotify_instances: int | None = None
    inotify_watches: int | None = None
    open_files: int | None = None
    max_pids: int | None = None
    max_user_processes: int | None = None
    has_ipv4_route: bool | None = None
    has_ipv6_route: bool | None = None
    """To the internet, by the kernel's default routes."""
    has_systemd: bool = True
    has_apt: bool = True
    has_ntp: bool = True
    """A time service that systemd can switch on."""
    is_root: bool = True


class OwnedPath(NamedTuple):
    """Hold a file or folder with its owner and permissions."""

    path: str
    uid: int
    mode: int


class StaleFile(NamedTuple):
    """Hold an unused file or folder.

    `kind`: `temporary`, `staged`, `before-restore`, `interrupted`, `unconfigured`.
    """

    kind: str
    path: str
    size: int


class WebPort(NamedTuple):
    """Hold an instance's web port. `is_ours`: published by its own container."""

    instance: str
    number: int
    is_free: bool
    is_ours: bool


class InstanceFacts(NamedTuple):
    """Hold an instance's state. `exited_unexpectedly`: it does not run, though not stopped by a user.

    `mode`: its container's.
    """

    id: str
    state: str
    why: str
    drift: tuple[str, ...] = ()
    exited_unexpectedly: bool = False
    mode: str = "paper"
    supervisor_lacks: frozenset[str] = frozenset()
    """Keys of its state file that its supervisor, of an earlier version, does not write."""
    mend: Mend = "up"
    """What makes its container as its config says."""
    image_mend: ImageMend | None = "recreate"
    """What makes it run the newer image; None where it does not run."""
    suspended: str = ""
    """The name of its container, if that is paused."""


class Updated(NamedTuple):
    """Hold an instance that `docker update` changed, or whose container is otherwise not as we make it: in
    what, by the names of the engine's API, and what undoes it.
    """

    id: str
    names: tuple[str, ...]
    mend: Mend = "up"
    is_redefined: bool = False

    def __str__(self) -> str:
        return f"{self.id} ({', '.join(self.names)})"


class ProjectFacts(NamedTuple):
    """Hold the project's files. Paths as users write them, relative to the project."""

    fleet: str
    configs: int
    problems: tuple[str, ...] = ()
    refused_by_bot: tuple[str, ...] = ()
    """What the bundled bot would end for at once."""
    memory_limits: int = 0
    cpu_limits: float = 0.0
    ports: tuple[WebPort, ...] = ()
    bind_address: str = ""
    passes_proxy: bool = False
    """Bots are given a proxy by `variables`."""
    bind_fault: str = ""
    """Why nothing can listen at that address."""
    data: OwnedPath | None = None
    bot_uid: int | None = None
    dotenv: OwnedPath | None = None
    unlimited: tuple[str, ...] = ()
    """The lists of variables in config/fleet.toml that have a pattern which fits every name."""
    compose_name: str = ""
    """The project's name in a rendered compose.yaml; empty without one."""
    compose_variable: str = ""
    """The name that COMPOSE_PROJECT_NAME gives to it instead."""
    compose_outdated: tuple[str, ...] = ()
    """Instances that are not in it as their configs say."""
    compose_absent: tuple[str, ...] = ()
    """Instances that are not in it at all."""
    secrets: tuple[OwnedPath, ...] = ()
    databases: tuple[OwnedPath, ...] = ()
    stale: tuple[StaleFile, ...] = ()
    read_only: tuple[str, ...] = ()
    """Of the project's folder and the data folder: those whose file system takes no writes."""
    lock_held_by: str = ""
    lock_held_s: float = 0.0
    lock_pid: int = 0
    """0: that of another user, which this one does not see."""


class RequestLoad(NamedTuple):
    """Hold what the configured bots ask of an exchange. `used`: the part of its limit; `text`: all of it."""

    exchange: str
    used: float
    text: Text


class RequestRefusal(NamedTuple):
    """Hold the bots that an exchange refuses for the number of requests, and who sends most there.

    `why`: empty where that is unknown. `sent`: what each has sent.
    """

    exchange: str
    instances: tuple[str, ...]
    why: Text | None = None
    sent: tuple[Text, ...] = ()


class EgressFacts(NamedTuple):
    """Hold the firewall rules of `[container] egress`. `why`: why they are not, or may not be, in force."""

    is_in_force: bool
    why: str = ""


class FleetFacts(NamedTuple):
    """Hold the fleet as the engine has it. `image_contract` is None where there is no image."""

    image: str
    image_contract: str | None
    instances: tuple[InstanceFacts, ...] = ()
    updated: tuple[Updated, ...] = ()
    orphans: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    old_daemon: tuple[str, ...] = ()
    requests: tuple[RequestLoad, ...] = ()
    refusals: tuple[RequestRefusal, ...] = ()
    egress: EgressFacts | None = None


class Facts(NamedTuple):
    """Hold all facts. `engine_fault` and `project_fault` say why `engine` or `files` is None.

    `engine_remedy`: what to do about the former.
    """

    client: ClientFacts
    host: HostFacts
    engine: EngineFacts | None = None
    engine_fault: str = ""
    files: ProjectFacts | None = None
    project_fault: str = ""
    fleet: FleetFacts | None = None
    data_disk: Disk | None = None
    engine_disk: Disk | None = None
    database_disks: tuple[Disk, ...] = ()
    engine_remedy: Text = Text("run `docker info` for details")
