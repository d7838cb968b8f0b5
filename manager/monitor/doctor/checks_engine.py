"""Check the engine and its clients. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from manager.i18n import Text
from manager.monitor.doctor import remedies
from manager.monitor.doctor.facts import ClientFacts, EngineFacts, Facts, HostFacts
from manager.monitor.doctor.findings import Finding, fail, ok, warn
from manager.util.formatting import offset

OLDEST_API = (1, 41)
"""Docker 20.10, the version of Debian 12 and Ubuntu 22.04."""
FAST_DRIVERS = frozenset({"overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs", "stargz"})
OLDEST_COMPOSE = 2
CLOCK_WARN_S, CLOCK_FAIL_S = 1.0, 5.0
"""Exchanges reject requests whose timestamp is off by more than a few seconds; Binance allows five."""


def check_all(facts: Facts) -> Iterator[Finding]:
    """Yield all findings about the engine and its clients."""
    if facts.engine is None:
        yield fail(
            "engine",
            Text("{why}", why=facts.engine_fault),
            facts.engine_remedy,
        )
    else:
        yield from _engine(facts.engine, facts.client, facts.host)
    yield _compose(facts.client)
    yield _buildx(facts.client)
    if facts.client.proxies_file and not (facts.files and facts.files.passes_proxy):
        yield proxies(facts.client.proxies_file)


def _engine(engine: EngineFacts, client: ClientFacts, host: HostFacts) -> Iterator[Finding]:
    yield version(engine, has_systemd=host.has_systemd)
    yield ok("context", Text("{endpoint} (local)", endpoint=client.endpoint))
    yield storage(engine)
    yield logging(engine)
    yield live_restore(engine, host)
    yield limits(engine)
    yield isolation(engine, host)
    if engine.clock_offset is not None:
        yield clock(engine.clock_offset)
    for text in engine.warnings:
        yield warn("engine-warning", Text("engine warning: {why}", why=text), Text("see `docker info`"))


def version(engine: EngineFacts, *, has_systemd: bool = True) -> Finding:
    """Check for an engine that lacks features the containers need."""
    if engine.is_podman:
        text = Text("Podman {version}, on which botfleet is not tested", version=engine.version)
        return warn(
            "engine", text, Text("use Docker Engine, and unset DOCKER_HOST if it names Podman's socket")
        )
    text = Text("Docker Engine {version}, API {api}", version=engine.version, api=engine.api)
    number = tuple(int(part) for part in engine.api.split(".") if part.isdigit())
    if number < OLDEST_API:
        return fail("engine", text, Text("upgrade the engine; the minimum supported version is 20.10"))
    if engine.maps_users:
        return fail(
            "engine",
            Text(
                "Docker Engine {version} with userns-remap: no bot can write to its folders",
                version=engine.version,
            ),
            Text("remove userns-remap from /etc/docker/daemon.json and restart the engine"),
        )
    if engine.is_anothers:
        return fail(
            "engine",
            Text(
                "Docker Engine {version} is rootless and belongs to another user: no bot can write to root's"
                " folders",
                version=engine.version,
            ),
            Text("run the manager as that user"),
        )
    return _less_common_kind(engine, has_systemd=has_systemd) or ok("engine", text)


def _less_common_kind(engine: EngineFacts, *, has_systemd: bool) -> Finding | None:
    """Return what to know of an engine that works, but is not root's on plain Linux."""
    if engine.is_rootless:
        return warn(
            "engine",
            Text("Docker Engine {version}, rootless", version=engine.version),
            remedies.rootless_at_boot(has_systemd=has_systemd),
        )
    if engine.is_desktop:
        return warn(
            "engine",
            Text(
                "Docker Engine {version} of Docker Desktop, on which botfleet is not tested",
                version=engine.version,
            ),
            Text(
                "share the project folder with it (Settings, Resources, File sharing), or use Docker Engine"
            ),
        )
    if engine.uses_selinux:
        return warn(
            "engine",
            Text(
                "Docker Engine {version} with SELinux, on which botfleet is not tested",
                version=engine.version,
            ),
            Text("run `chcon -R -t container_file_t volumes` if no bot can write to its folders"),
        )
    return None


def proxies(file: str) -> Finding:
    """Warn of a proxy that bots have by who made their container: the docker command adds it, unseen."""
    return warn(
        "proxies",
        Text(
            "{file} has proxies: `docker compose up` gives them to its containers, and the manager does not",
            file=file,
        ),
        Text(
            "if the bots need the proxy, write HTTPS_PROXY=… to .env; if not, make containers with"
            " `manager up`"
        ),
    )


def storage(engine: EngineFacts) -> Finding:
    """Check the storage driver: `vfs` copies the whole image for each container."""
    text = Text("storage driver {name}", name=engine.storage_driver)
    if engine.storage_driver in FAST_DRIVERS:
        return ok("storage-driver", text)
    return warn("storage-driver", text, Text("use overlay2; it needs less disk space and time per container"))


def logging(engine: EngineFacts) -> Finding:
    """Report the engine's default log driver, which the fleet's containers override."""
    return ok(
        "log-driver",
        Text(
            "log driver {name}; the fleet's containers use `local` with a size limit", name=engine.log_driver
        ),
    )


def live_restore(engine: EngineFacts, host: HostFacts) -> Finding:
    """Check live-restore. Without it, all bots stop with dockerd and stay down."""
    if engine.is_rootless:
        return _restarts_of_rootless(engine, host)
    if engine.live_restore:
        return ok(
            "live-restore", Text("live-restore is enabled: bots keep running while the engine restarts")
        )
    return warn(
        "live-restore",
        Text("live-restore is disabled: bots stop when the engine stops, including during its upgrades"),
        remedies.live_restore(has_systemd=host.has_systemd, is_root=host.is_root),
    )


def _restarts_of_rootless(engine: EngineFacts, host: HostFacts) -> Finding:
    """Warn of live-restore: the network of a rootless engine's containers ends with it, and at its next start
    it kills and starts them.
    """
    if not engine.live_restore:
        return ok(
            "live-restore",
            Text("a rootless engine stops its bots when it stops, and starts them again when it starts"),
        )
    return warn(
        "live-restore",
        Text(
            "live-restore keeps no bot of a rootless engine running: without the engine they have no network,"
            " and its next start kills them"
        ),
        remedies.no_live_restore(has_systemd=host.has_systemd),
    )


def limits(engine: EngineFacts) -> Finding:
    """Check that the kernel enforces memory and process limits."""
    if not engine.has_cgroups:
        return fail(
            "cgroup",
            Text("the engine runs without cgroups: no limit is enforced, and what bots use is not known"),
            Text(
                "boot the machine with cgroup v2, and start the rootless engine by"
                " `systemctl --user start docker`"
            ),
        )
    if engine.limits_memory and engine.limits_pids and not engine.limits_swap:
        return warn(
            "cgroup",
            Text(
                "cgroup version {version}: limits are enforced, but a bot may swap beyond its memory limit",
                version=engine.cgroup,
            ),
            Text("add `swapaccount=1` to the kernel command line, or do without swap"),
        )
    if engine.limits_memory and engine.limits_pids:
        return ok("cgroup", Text("cgroup version {version}: limits are enforced", version=engine.cgroup))
    return fail(
        "cgroup",
        Text("cgroup version {version}: memory or process limits are not enforced", version=engine.cgroup),
        Text(
            "enable the controllers: add `cgroup_enable=memory` to the kernel command line, or delegate "
            "them to a rootless engine"
        ),
    )


def isolation(engine: EngineFacts, host: HostFacts) -> Finding:
    """Check br_netfilter. Without it, iptables does not see packets between containers on one bridge."""
    if engine.filters_bridge:
        return ok("bridge", Text("instances are isolated from each other"))
    return warn(
        "bridge",
        Text("the kernel does not filter bridge traffic: a bot can reach the other bots' ports"),
        remedies.bridge_filter(is_root=host.is_root),
    )


def clock(difference: float) -> Finding:
    """Check the engine's clock, which is a separate one if the engine runs in a virtual machine."""
    text = Text("the engine's clock differs by {offset} from this machine's", offset=offset(difference))
    remedy = Text("synchronise the clock of the engine's machine; with Docker Desktop, restart it")
    if abs(difference) > CLOCK_FAIL_S:
        return fail("engine-clock", text, remedy)
    if abs(difference) > CLOCK_WARN_S:
        return warn("engine-clock", text, remedy)
    return ok("engine-clock", text)


def _compose(client: ClientFacts) -> Finding:
    if client.compose is None:
        return warn(
            "compose",
            Text("`docker compose` is not installed"),
            Text("optional, the manager does not need it: {remedy}", remedy=client.compose_remedy),
        )
    text = Text("Compose {version}", version=client.compose)
    major = client.compose.removeprefix("v").split(".")[0]
    if major.isdigit() and int(major) >= OLDEST_COMPOSE:
        return ok("compose", text)
    return warn(
        "compose",
        text,
        Text(
            "optional, the manager does not need it; `docker compose` requires version 2: {remedy}",
            remedy=client.compose_remedy,
        ),
    )


def _buildx(client: ClientFacts) -> Finding:
    if client.buildx is None and client.builder is not None:
        return ok("buildx", Text("{command} builds images without buildx", command=client.builder))
    if client.buildx is None:
        return warn(
            "buildx",
            Text("no installed docker command can build images; `manager build` needs buildx"),
            client.buildx_remedy,
        )
    return ok("buildx", Text("buildx {version}", version=client.buildx))
