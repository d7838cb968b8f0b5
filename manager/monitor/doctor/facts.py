"""What doctor knows: plain data. None everywhere means that it cannot be known here, which is no fault."""

from __future__ import annotations

from typing import NamedTuple

from manager.i18n import Text


class Client(NamedTuple):
    """What is on the command line's side. Versions as their programs say them."""

    endpoint: str = ""
    compose: str | None = None
    buildx: str | None = None
    python: str = ""
    missing_packages: tuple[str, ...] = ()
    builds_without: str | None = None
    """A docker command that builds without buildx, looked for where there is no buildx."""
    buildx_remedy: Text = Text("")


class Engine(NamedTuple):
    """The Docker Engine. `clock_offset`: its clock less ours, in seconds; `memory` in bytes."""

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
    limits_memory: bool = True
    limits_pids: bool = True
    filters_bridge: bool = True
    warnings: tuple[str, ...] = ()


class Disk(NamedTuple):
    """A file system, by a path on it. Sizes in bytes; inodes 0 where it has no number of them."""

    path: str
    type: str
    size: int
    free: int
    inodes: int
    free_inodes: int


class Host(NamedTuple):
    """The machine. `load`: of the last five minutes; `rtc_offset`: the hardware clock less ours, in seconds."""

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


class Owned(NamedTuple):
    """A file or folder, with who may do what."""

    path: str
    uid: int
    mode: int


class Stale(NamedTuple):
    """Something that nobody uses any more. `what`: `temporary`, `staged`, `before-restore`, `interrupted`, `unconfigured`."""

    what: str
    path: str
    size: int


class Port(NamedTuple):
    """An instance's web port. `is_ours`: its own container publishes it."""

    instance: str
    number: int
    is_free: bool
    is_ours: bool


class Instance(NamedTuple):
    """One instance as the engine and its supervisor show it. `has_fallen`: its container has, and nobody wants that."""

    id: str
    state: str
    why: str
    drift: tuple[str, ...] = ()
    has_fallen: bool = False


class Files(NamedTuple):
    """The project on the disk. Paths as people write them, relative to the project."""

    fleet: str
    configs: int
    problems: tuple[str, ...] = ()
    memory_limits: int = 0
    cpu_limits: float = 0.0
    ports: tuple[Port, ...] = ()
    data: Owned | None = None
    bot_uid: int | None = None
    dotenv: Owned | None = None
    secrets: tuple[Owned, ...] = ()
    databases: tuple[Owned, ...] = ()
    stale: tuple[Stale, ...] = ()
    lock_held_by: str = ""
    lock_held_s: float = 0.0


class Fleet(NamedTuple):
    """What only the engine can tell of the fleet. `image_contract` is None where there is no image."""

    image: str
    image_contract: str | None
    instances: tuple[Instance, ...] = ()
    orphans: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    old_daemon: tuple[str, ...] = ()


class Facts(NamedTuple):
    """Everything. `engine_fault` and `project_fault` say why there is no engine or no project."""

    client: Client
    host: Host
    engine: Engine | None = None
    engine_fault: str = ""
    files: Files | None = None
    project_fault: str = ""
    fleet: Fleet | None = None
    data_disk: Disk | None = None
    engine_disk: Disk | None = None
    database_disks: tuple[Disk, ...] = ()
