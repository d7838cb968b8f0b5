"""Check the machine: disks, clock, memory, limits of the kernel. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from manager.i18n import Text
from manager.monitor.doctor import remedies
from manager.monitor.doctor.facts import Disk, Facts, HostFacts, ProjectFacts
from manager.monitor.doctor.findings import Finding, fail, ok, warn
from manager.util.formatting import GB, file_size, mebibytes

DISK_WARN, DISK_FAIL = 0.10, 0.03
DISK_WARN_FREE, DISK_FAIL_FREE = 5 * GB, GB
"""Both the share and the absolute space must be low: 5 % of 10 TB is enough."""
INODES_WARN = 0.05
LOAD_WARN = 2.0
"""Runnable processes per core, averaged over five minutes. Above it health probes are delayed."""
CPU_WARN = 4.0
"""Multiple of the cores that the limits may add up to. The default limit is 80 % of a core, a quiet bot uses
1 %."""
RTC_WARN_S = 60
QUARTER_S = 900
"""Time zones are multiples of it: a hardware clock in local time is off by whole quarters of an hour."""
MIN_WATCHES, MIN_INSTANCES, MIN_OPEN_FILES = 8192, 128, 1024
PROCESSES_PER_BOT = 20
"""The shim, init, supervisor and bot with their threads."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "afs", "lustre"}
)
SHARED_FILE_SYSTEMS = frozenset(
    {"9p", "vboxsf", "vmhgfs", "virtiofs", "overlay", "overlayfs", "aufs", "prl_fs"}
)
TO_ANOTHER_DISK = Text(
    "run `manager down`, move the data folder to a local disk, set data_dir in config/fleet.toml to its new"
    " place, and run `manager up`"
)
"""The setting alone would begin with empty databases, and containers of the other folder are refused."""
MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


def check_all(facts: Facts) -> Iterator[Finding]:
    """Yield all findings about the machine."""
    for name, disk in (("data-disk", facts.data_disk), ("engine-disk", facts.engine_disk)):
        if disk is not None:
            yield space(name, disk)
            if disk.inodes:
                yield inodes(name, disk)
    for disk in facts.database_disks:
        yield file_system(disk)
    yield from clock(facts.host)
    yield from routes(facts.host)
    yield load(facts.host)
    if facts.files is not None and facts.files.configs:
        memory = facts.engine.memory if facts.engine else facts.host.memory
        cores = facts.engine.cores if facts.engine else facts.host.cores
        yield memory_limits(facts.files, memory)
        yield cpu_limits(facts.files, cores)
    yield from kernel(facts.host, facts.files.configs if facts.files else 0)


def space(check: str, disk: Disk) -> Finding:
    """Check the free space. A full disk does not stop a bot, but databases and logs are no longer written."""
    share = disk.free / disk.size if disk.size else 1.0
    text = Text(
        "{path}: {free} free of {size}",
        path=disk.path,
        free=file_size(disk.free),
        size=file_size(disk.size),
    )
    remedy = Text("free disk space: remove old backups or logs (log_retention_days), see `docker system df`")
    if share < DISK_FAIL and disk.free < DISK_FAIL_FREE:
        return fail(check, text, remedy)
    if share < DISK_WARN and disk.free < DISK_WARN_FREE:
        return warn(check, text, remedy)
    return ok(check, text)


def inodes(check: str, disk: Disk) -> Finding:
    """Check the free inodes, which many small files can use up."""
    text = Text(
        "{path}: {free} of {count} inodes free", path=disk.path, free=disk.free_inodes, count=disk.inodes
    )
    if disk.free_inodes < INODES_WARN * disk.inodes:
        return warn(f"{check}-inodes", text, Text("remove unneeded small files, such as old log folders"))
    return ok(f"{check}-inodes", text)


def file_system(disk: Disk) -> Finding:
    """Check the databases' file system: SQLite's WAL needs shared memory and working locks."""
    text = Text("{path} is on {type}", path=disk.path, type=disk.type)
    if disk.type in NETWORK_FILE_SYSTEMS or disk.type in SHARED_FILE_SYSTEMS or disk.type.startswith("fuse"):
        return warn(
            "file-system",
            Text("{path} is on {type}: SQLite can lose data there", path=disk.path, type=disk.type),
            TO_ANOTHER_DISK,
        )
    if disk.type in MEMORY_FILE_SYSTEMS:
        return warn(
            "file-system",
            Text("{path} is in memory: its content is lost on reboot", path=disk.path),
            TO_ANOTHER_DISK,
        )
    return ok("file-system", text)


def clock(host: HostFacts) -> Iterator[Finding]:
    """Check that a time service keeps the clock synchronised, and that the hardware clock is close."""
    if host.is_clock_synchronised:
        yield ok("clock", Text("a time service keeps the clock synchronised"))
    elif host.is_clock_synchronised is not None:
        yield warn(
            "clock",
            Text("no time service synchronises the clock: exchanges reject requests with a wrong time"),
            remedies.time_service(
                has_systemd=host.has_systemd,
                has_apt=host.has_apt,
                has_ntp=host.has_ntp,
                is_root=host.is_root,
            ),
        )
    if host.rtc_offset is not None:
        difference = abs((host.rtc_offset + QUARTER_S / 2) % QUARTER_S - QUARTER_S / 2)
        text = Text("the hardware clock is {seconds:.0f} s off", seconds=difference)
        if difference > RTC_WARN_S:
            yield warn(
                "hardware-clock", text, Text("run `hwclock --systohc` once the system clock is correct")
            )
        else:
            yield ok("hardware-clock", text)


def routes(host: HostFacts) -> Iterator[Finding]:
    """Check that bots reach the internet: the engine's networks have IPv4 alone, unless told otherwise."""
    if host.has_ipv4_route is False and host.has_ipv6_route:
        yield warn(
            "routes",
            Text(
                "this machine reaches the internet by IPv6 alone, and the bots have IPv4: no exchange answers"
            ),
            Text(
                "give the bots a proxy that has both, by HTTPS_PROXY in .env and in `variables` of"
                " config/fleet.toml"
            ),
        )


def load(host: HostFacts) -> Finding:
    """Check whether the machine is overloaded."""
    text = Text("load {load:.1f} on {cores} cores", load=host.load, cores=host.cores)
    if host.load > LOAD_WARN * host.cores:
        return warn(
            "load",
            text,
            Text("find the busiest instances with `manager stats`; run fewer bots, or add cores"),
        )
    return ok("load", text)


def memory_limits(files: ProjectFacts, memory: int) -> Finding:
    """Check that the memory limits together do not exceed the memory."""
    text = Text(
        "memory limits: {limits} for {count} instances; the machine has {memory}",
        limits=mebibytes(files.memory_limits),
        count=files.configs,
        memory=mebibytes(memory),
    )
    if files.memory_limits > memory:
        return warn(
            "memory-limits",
            text,
            Text("lower memory_limit_mb to what a bot needs, so that a memory leak affects one bot only"),
        )
    return ok("memory-limits", text)


def cpu_limits(files: ProjectFacts, cores: int) -> Finding:
    """Check the sum of the CPU limits, which may exceed the cores several times."""
    text = Text(
        "CPU limits: {limits:.1f} cores for {count} instances; the machine has {cores}",
        limits=files.cpu_limits,
        count=files.configs,
        cores=cores,
    )
    if files.cpu_limits > CPU_WARN * cores:
        return warn(
            "cpu-limits",
            text,
            Text("lower cpu_limit_percent, so that a busy bot does not slow down the others"),
        )
    return ok("cpu-limits", text)


def kernel(host: HostFacts, count: int) -> Iterator[Finding]:
    """Check the kernel's and the user's limits that many containers can reach."""
    settings = []
    for name, value, minimum in (
        ("fs.inotify.max_user_watches", host.inotify_watches, MIN_WATCHES),
        ("fs.inotify.max_user_instances", host.inotify_instances, max(MIN_INSTANCES, count)),
        ("kernel.pid_max", host.max_pids, count * PROCESSES_PER_BOT),
    ):
        if value is not None and value < minimum:
            settings.append(f"{name}={minimum}")
    if settings:
        yield warn(
            "kernel",
            Text("kernel limits are too low for {count} instances", count=count),
            remedies.kernel_limits(settings, is_root=host.is_root),
        )
    else:
        yield ok("kernel", Text("kernel limits are sufficient for {count} instances", count=count))
    for name, current, minimum_ in (
        ("nofile", host.open_files, MIN_OPEN_FILES),
        ("nproc", host.max_user_processes, count * PROCESSES_PER_BOT),
    ):
        if current is not None and current < minimum_:
            yield warn(
                "ulimit",
                Text("this user's {name} limit is {current}", name=name, current=current),
                Text("raise it to {minimum} in /etc/security/limits.conf", minimum=minimum_),
            )
