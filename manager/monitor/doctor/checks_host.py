"""Verdicts on the machine: disks, clock, memory, limits of the kernel. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from manager.i18n import Text
from manager.monitor.doctor.facts import Disk, Facts, Files, Host
from manager.monitor.doctor.findings import Line, fail, ok, warn
from manager.util.formatting import GB

DISK_WARN, DISK_FAIL = 0.10, 0.03
DISK_WARN_FREE, DISK_FAIL_FREE = 5 * GB, GB
"""A disk that is both nearly full and small in what is left: 5 % of 10 TB are enough."""
INODES_WARN = 0.05
LOAD_WARN = 2.0
"""Processes that want to run, for each core, over five minutes: then health probes come late."""
CPU_WARN = 4.0
"""The default limit is 80 % of a core and a quiet bot takes 1 %: this many times the cores is no worry in itself."""
RTC_WARN_S = 60
QUARTER_S = 900
"""A hardware clock in local time is off by whole quarters of an hour, which is a zone and no fault."""
FEWEST_WATCHES, FEWEST_INSTANCES, FEWEST_FILES = 8192, 128, 1024
PROCESSES_PER_BOT = 20
"""Shim, init, supervisor, bot and their threads."""

NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "afs", "lustre"})
SHARED = frozenset({"9p", "vboxsf", "vmhgfs", "virtiofs", "overlay", "overlayfs", "aufs", "prl_fs"})
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def lines(facts: Facts) -> Iterator[Line]:
    """Everything about the machine."""
    for name, disk in (("data-disk", facts.data_disk), ("engine-disk", facts.engine_disk)):
        if disk is not None:
            yield space(name, disk)
            if disk.inodes:
                yield inodes(name, disk)
    for disk in facts.database_disks:
        yield file_system(disk)
    yield from clock(facts.host)
    yield load(facts.host)
    if facts.files is not None and facts.files.configs:
        memory = facts.engine.memory if facts.engine else facts.host.memory
        cores = facts.engine.cores if facts.engine else facts.host.cores
        yield memory_limits(facts.files, memory)
        yield cpu_limits(facts.files, cores)
    yield from kernel(facts.host, facts.files.configs if facts.files else 0)


def space(check: str, disk: Disk) -> Line:
    """Databases, logs and images need room; a full disk stops no bot, but nothing is recorded any more."""
    share = disk.free / disk.size if disk.size else 1.0
    text = Text(
        "{path}: {free:.1f} GB free of {size:.1f} GB",
        path=disk.path,
        free=disk.free / GB,
        size=disk.size / GB,
    )
    remedy = Text("make room: old backups, logs (log_retention_days), `docker system df`")
    if share < DISK_FAIL and disk.free < DISK_FAIL_FREE:
        return fail(check, text, remedy)
    if share < DISK_WARN and disk.free < DISK_WARN_FREE:
        return warn(check, text, remedy)
    return ok(check, text)


def inodes(check: str, disk: Disk) -> Line:
    """A disk can be full of small files."""
    text = Text(
        "{path}: {free} of {count} inodes free", path=disk.path, free=disk.free_inodes, count=disk.inodes
    )
    if disk.free_inodes < INODES_WARN * disk.inodes:
        return warn(
            f"{check}-inodes", text, Text("remove small files that nobody needs, such as old log folders")
        )
    return ok(f"{check}-inodes", text)


def file_system(disk: Disk) -> Line:
    """SQLite's WAL needs memory that all readers share and locks that hold: not given on what another machine serves."""
    text = Text("{path} is on {type}", path=disk.path, type=disk.type)
    if disk.type in NETWORKED or disk.type in SHARED or disk.type.startswith("fuse"):
        return warn("file-system", Text("{path} is on {type}: SQLite can lose data there", path=disk.path, type=disk.type),
                    Text("put the databases on a local disk: data_dir in config/fleet.toml"))  # fmt: skip
    if disk.type in IN_MEMORY:
        return warn("file-system", Text("{path} is in memory: all is lost with a reboot", path=disk.path),
                    Text("put the databases on a disk: data_dir in config/fleet.toml"))  # fmt: skip
    return ok("file-system", text)


def clock(host: Host) -> Iterator[Line]:
    """Whether somebody keeps the clock right; without network nobody can say whether it is."""
    if host.is_clock_synchronised:
        yield ok("clock", Text("the clock is kept right by a time service"))
    elif host.is_clock_synchronised is not None:
        yield warn(
            "clock",
            Text("nothing keeps this machine's clock right: exchanges refuse requests whose time is off"),
            Text("`apt install chrony`, or `timedatectl set-ntp true`"),
        )
    if host.rtc_offset is not None:
        beside = abs((host.rtc_offset + QUARTER_S / 2) % QUARTER_S - QUARTER_S / 2)
        text = Text("the hardware clock is {seconds:.0f} s off", seconds=beside)
        if beside > RTC_WARN_S:
            yield warn("hardware-clock", text, Text("`hwclock --systohc`, once the clock is right"))
        else:
            yield ok("hardware-clock", text)


def load(host: Host) -> Line:
    """A machine that cannot keep up."""
    text = Text("load {load:.1f} on {cores} cores", load=host.load, cores=host.cores)
    if host.load > LOAD_WARN * host.cores:
        return warn(
            "load",
            text,
            Text("`manager ps` and `docker stats` show who works so much; fewer bots, or more cores"),
        )
    return ok("load", text)


def memory_limits(files: Files, memory: int) -> Line:
    """Limits that together exceed the memory are a promise that cannot be kept to all."""
    text = Text(
        "memory limits: {limits:.1f} GB for {count} instances, of {memory:.1f} GB",
        limits=files.memory_limits / GB, count=files.configs, memory=memory / GB,
    )  # fmt: skip
    if files.memory_limits > memory:
        return warn(
            "memory-limits",
            text,
            Text("lower memory_limit_mb to what a bot needs: a leak then ends one bot, not all"),
        )
    return ok("memory-limits", text)


def cpu_limits(files: Files, cores: int) -> Line:
    """Some overcommitment is the point of limits."""
    text = Text("CPU limits: {limits:.1f} cores for {count} instances, of {cores}",
                limits=files.cpu_limits, count=files.configs, cores=cores)  # fmt: skip
    if files.cpu_limits > CPU_WARN * cores:
        return warn(
            "cpu-limits", text, Text("lower cpu_limit_percent, so that one busy bot cannot slow the others")
        )
    return ok("cpu-limits", text)


def kernel(host: Host, count: int) -> Iterator[Line]:
    """Limits that many containers reach."""
    few = []
    for name, value, fewest in (
        ("fs.inotify.max_user_watches", host.inotify_watches, FEWEST_WATCHES),
        ("fs.inotify.max_user_instances", host.inotify_instances, max(FEWEST_INSTANCES, count)),
        ("kernel.pid_max", host.max_pids, count * PROCESSES_PER_BOT),
    ):
        if value is not None and value < fewest:
            few.append(f"{name}={fewest}")
    if few:
        yield warn("kernel", Text("limits of the kernel are low for {count} instances", count=count),
                   Text("`sysctl -w {settings}`", settings=" ".join(few)))  # fmt: skip
    else:
        yield ok("kernel", Text("the kernel's limits are wide enough for {count} instances", count=count))
    for name, have, need in (
        ("nofile", host.open_files, FEWEST_FILES),
        ("nproc", host.max_user_processes, count * PROCESSES_PER_BOT),
    ):
        if have is not None and have < need:
            yield warn("ulimit", Text("this user's limit {name} is {have}", name=name, have=have),
                       Text("raise it to {need} in /etc/security/limits.conf", need=need))  # fmt: skip
