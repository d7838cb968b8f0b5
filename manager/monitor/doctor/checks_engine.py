"""Verdicts on the engine and what talks to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from manager.i18n import Text
from manager.monitor.doctor.facts import Client, Engine, Facts
from manager.monitor.doctor.findings import Line, fail, ok, warn

OLDEST_API = (1, 41)
"""Docker 20.10, Debian 12's and Ubuntu 22.04's."""
FAST_DRIVERS = frozenset({"overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs", "stargz"})
OLDEST_COMPOSE = 2
CLOCK_WARN_S, CLOCK_FAIL_S = 1.0, 5.0
"""Exchanges refuse requests whose time stamp is off by more than a few seconds; Binance's window is five."""


def lines(facts: Facts) -> Iterator[Line]:
    """Everything about the engine; where there is none, that."""
    if facts.engine is None:
        yield fail(
            "engine",
            Text("{why}", why=facts.engine_fault),
            Text(
                "`docker info` tells more; without permission: `usermod -aG docker USER`, then log in again"
            ),
        )
    else:
        yield from _engine(facts.engine, facts.client)
    yield _compose(facts.client)
    yield _buildx(facts.client)


def _engine(engine: Engine, client: Client) -> Iterator[Line]:
    yield version(engine)
    yield ok("context", Text("{endpoint}, a local one", endpoint=client.endpoint))
    yield storage(engine)
    yield logging(engine)
    yield live_restore(engine)
    yield limits(engine)
    yield isolation(engine)
    if engine.clock_offset is not None:
        yield clock(engine.clock_offset)
    for text in engine.warnings:
        yield warn("engine-warning", Text("the engine warns: {why}", why=text), Text("see `docker info`"))


def version(engine: Engine) -> Line:
    """Old engines lack what the containers are made with."""
    text = Text("Docker Engine {version}, API {api}", version=engine.version, api=engine.api)
    number = tuple(int(part) for part in engine.api.split(".") if part.isdigit())
    if number < OLDEST_API:
        return fail("engine", text, Text("upgrade it: 20.10 is the oldest that is known to work"))
    if engine.is_rootless:
        return warn(
            "engine",
            Text("Docker Engine {version}, rootless", version=engine.version),
            Text("`loginctl enable-linger` keeps the bots after logout and brings them back after a reboot"),
        )
    return ok("engine", text)


def storage(engine: Engine) -> Line:
    """`vfs` copies the whole image for each container."""
    text = Text("storage driver {name}", name=engine.storage_driver)
    if engine.storage_driver in FAST_DRIVERS:
        return ok("storage-driver", text)
    return warn("storage-driver", text, Text("overlay2 takes less disk and time for each container"))


def logging(engine: Engine) -> Line:
    """Ours is set for each container; the engine's own default is for strangers."""
    return ok(
        "log-driver",
        Text("log driver {name}; the fleet's containers use `local`, bounded", name=engine.log_driver),
    )


def live_restore(engine: Engine) -> Line:
    """Without it the death of dockerd is the death of all bots, and they stay down."""
    if engine.live_restore:
        return ok("live-restore", Text("live-restore is on: bots go on while the engine is restarted"))
    return warn(
        "live-restore",
        Text("live-restore is off: bots end with the engine, at each upgrade of it too"),
        Text('put "live-restore": true into /etc/docker/daemon.json, then `systemctl reload docker`'),
    )


def limits(engine: Engine) -> Line:
    """A limit that the kernel does not enforce is none."""
    if engine.limits_memory and engine.limits_pids:
        return ok("cgroup", Text("cgroup version {version}: limits are enforced", version=engine.cgroup))
    return fail(
        "cgroup",
        Text("cgroup version {version}: limits of memory or processes are not enforced", version=engine.cgroup),
        Text("enable the controllers: `cgroup_enable=memory` on the kernel's command line, delegation for a rootless engine"),
    )  # fmt: skip


def isolation(engine: Engine) -> Line:
    """Containers on one bridge are kept apart by iptables, which sees a bridge's packets only through br_netfilter."""
    if engine.filters_bridge:
        return ok("bridge", Text("instances are cut off from each other"))
    return warn(
        "bridge",
        Text("the kernel does not filter bridges: a bot can reach the other bots' ports"),
        Text("`modprobe br_netfilter`, and `sysctl net.bridge.bridge-nf-call-iptables=1`"),
    )


def clock(offset: float) -> Line:
    """An engine in a virtual machine of its own has a clock of its own."""
    text = Text("the engine's clock is {seconds:+.1f} s from this one", seconds=round(offset, 1) + 0.0)
    remedy = Text("synchronise the clock of the engine's machine; Docker Desktop: restart it")
    if abs(offset) > CLOCK_FAIL_S:
        return fail("engine-clock", text, remedy)
    if abs(offset) > CLOCK_WARN_S:
        return warn("engine-clock", text, remedy)
    return ok("engine-clock", text)


def _compose(client: Client) -> Line:
    if client.compose is None:
        return warn(
            "compose",
            Text("there is no `docker compose`"),
            Text("the manager does without it; the package is docker-compose-v2 or docker-compose-plugin"),
        )
    text = Text("Compose {version}", version=client.compose)
    major = client.compose.removeprefix("v").split(".")[0]
    if major.isdigit() and int(major) >= OLDEST_COMPOSE:
        return ok("compose", text)
    return warn("compose", text, Text("`docker compose` needs version 2; the manager does without it"))


def _buildx(client: Client) -> Line:
    if client.buildx is None and client.builds_without is not None:
        return ok("buildx", Text("{command} builds images without buildx", command=client.builds_without))
    if client.buildx is None:
        return warn(
            "buildx",
            Text("no docker command here can build images: `manager build` needs buildx"),
            client.buildx_remedy,
        )
    return ok("buildx", Text("buildx {version}", version=client.buildx))
