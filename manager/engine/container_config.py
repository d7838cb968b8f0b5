"""Convert an InstanceSpec into its container's definition in the engine's API. Pure.

compose_file.py does the same for Compose; a test compares the two.
"""

from collections.abc import Collection, Mapping

from manager.config.container_paths import DATA_AT, LOGS_AT, SECRETS_AT, STATE_AT, TMPFS
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec, config_hash
from manager.engine import labels
from manager.engine.containers import Container
from manager.typed import Any, NamedTuple
from manager.util.formatting import MIB
from manager.util.sanitize import replace_unprintable

NETWORK_OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}
"""Instances cannot reach each other; their published ports work nevertheless."""

HEALTHCHECK = "/opt/botfleet/healthcheck"
HEALTH_TIMEOUT_S = 10
HEALTH_START_PERIOD_S = 60
HEALTH_START_INTERVAL_S = 15
"""Delay before the engine's first check. A shorter one would slow down a fleet's start by a sixth: a check
takes 50 ms of CPU per container, while the CPUs are busy. `manager ps` knows the health at once, from the
supervisor.
"""
START_INTERVAL_API = (1, 44)
SECOND_NS = 1_000_000_000


class HostContext(NamedTuple):
    """Hold what differs between machines and is in no hash: the user, the image's id, Compose's own hash.

    `uid` and `gid` apply inside the container, `owner` is (uid, gid) of its folders on the host.
    """

    uid: int
    gid: int
    owner: tuple[int, int]
    image_id: str
    compose_hash: str
    api_version: tuple[int, int] = START_INTERVAL_API


class Bind(NamedTuple):
    """Describe one folder of the host in the container. `source` is relative to the data folder."""

    source: str
    target: str
    read_only: bool = False


def binds(spec: InstanceSpec) -> tuple[Bind, ...]:
    """Return the four folders of docker/README.md."""
    return (
        Bind(spec.log_dir, LOGS_AT),
        Bind(f"database/{spec.id}", DATA_AT),
        Bind(f"state/{spec.id}", STATE_AT),
        Bind(f"secrets/{spec.id}", SECRETS_AT, read_only=True),
    )


def own_labels(spec: InstanceSpec, fleet: Fleet) -> dict[str, str]:
    """Return the labels that let `ps` work with a single engine call."""
    return {
        labels.INSTANCE: spec.id,
        labels.SCHEMA_VERSION: labels.SCHEMA,
        labels.CONFIG_FILE: spec.config_file,
        labels.CONFIG_HASH: config_hash(spec, fleet),
        **_spec_labels(spec),
    }


def _spec_labels(spec: InstanceSpec) -> dict[str, str]:
    """Return the labels with values of the spec itself, for which nothing has to be hashed."""
    return {
        labels.WEB_PORT: str(spec.web_port),
        labels.LOG_DIR: spec.log_dir,
        labels.DB_PATH: spec.db_path,
        labels.EXCHANGE: spec.exchange,
        labels.SYMBOL: spec.symbol,
        labels.STRATEGY: spec.strategy,
        labels.MARKET_TYPE: spec.market_type,
        labels.MODE: spec.mode,
        labels.STOP_TIMEOUT: str(spec.container_stop_timeout),
    }


def tmpfs_options(fleet: Fleet) -> dict[str, str]:
    """Return the writable memory of a container whose root is read-only."""
    return {
        TMPFS[0]: f"size={fleet.tmp_size_mb}m,mode=1777",
        TMPFS[1]: "size=1m,mode=1777",
    }


def body(spec: InstanceSpec, fleet: Fleet, place: HostContext) -> dict[str, Any]:
    """Return the raw body of `POST /containers/create`."""
    port = f"{spec.web_port}/tcp"
    return {
        "Image": fleet.image_name,
        "Hostname": spec.id,
        "User": f"{place.uid}:{place.gid}",
        "Cmd": list(spec.command),
        "Env": [f"{name}={value}" for name, value in spec.environment().items()],
        "Labels": {
            **own_labels(spec, fleet),
            **labels.of_compose(
                fleet=fleet.name,
                instance=spec.id,
                project_dir=str(fleet.project_dir),
                compose_file=str(fleet.compose_file),
                config_hash=place.compose_hash,
                image_id=place.image_id,
            ),
        },
        "ExposedPorts": {port: {}},
        "StopTimeout": spec.container_stop_timeout,
        "Healthcheck": _healthcheck(fleet, place.api_version),
        "HostConfig": _host_config(spec, fleet, port),
        "NetworkingConfig": {"EndpointsConfig": {fleet.network: {"Aliases": [spec.id]}}},
    }


def mounts(spec: InstanceSpec, fleet: Fleet) -> list[dict[str, Any]]:
    """Return its folders in the words of the engine's API."""
    return [
        {
            "Type": "bind",
            "Source": str(fleet.data_dir / bind.source),
            "Target": bind.target,
            "ReadOnly": bind.read_only,
        }
        for bind in binds(spec)
    ]


def _host_config(spec: InstanceSpec, fleet: Fleet, port: str) -> dict[str, Any]:
    return {
        "NetworkMode": fleet.network,
        "PortBindings": {port: [{"HostIp": fleet.bind_address, "HostPort": str(spec.web_port)}]},
        "Mounts": mounts(spec, fleet),
        "Tmpfs": tmpfs_options(fleet),
        **limits(spec, fleet),
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "LogConfig": {
            "Type": "local",
            "Config": {"max-size": f"{fleet.log_max_size_mb}m", "max-file": str(fleet.log_max_files)},
        },
    }


def limits(spec: InstanceSpec, fleet: Fleet) -> dict[str, Any]:
    """Return the part of its HostConfig that `docker update` can change."""
    return {
        "RestartPolicy": {"Name": "unless-stopped"},
        "PidsLimit": fleet.pids_limit,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        "NanoCpus": spec.nano_cpus,
    }


UNKEPT: Mapping[str, tuple[int | None, ...]] = {"Memory": (0,), "MemorySwap": (-1,), "PidsLimit": (0, None)}
"""What the engine writes instead of a limit for which the kernel has no means."""


def were_updated(
    host: Mapping[str, Any], spec: InstanceSpec, fleet: Fleet, unkept: Collection[str] = ()
) -> list[str]:
    """Return the limits that a container was given behind our back, as their names in the engine's API.

    `host`: its HostConfig. `unkept`: the limits that this engine cannot keep.
    """
    policy = host.get("RestartPolicy") or {}
    present = {**host, "RestartPolicy": {"Name": policy.get("Name")}}
    return [
        name
        for name, value in limits(spec, fleet).items()
        if present.get(name) != value and not (name in unkept and present.get(name) in UNKEPT[name])
    ]


UNASKED: Mapping[str, tuple[object, ...]] = {
    "CpuShares": (None, 0, 1024),
    "CpusetCpus": (None, ""),
    "CpusetMems": (None, ""),
    "MemoryReservation": (None, 0, -1),
    "BlkioWeight": (None, 0),
}
"""What `docker update` can set besides, and no config asks for: the values that mean nothing was set. The
engine takes none of them back in the same container.
"""


def were_added(host: Mapping[str, Any]) -> list[str]:
    """Return the shares, pinned CPUs and reservations that a container was given, as their names in the
    engine's API.
    """
    return [name for name, unset in UNASKED.items() if host.get(name) not in unset]


DEFINED = ("PortBindings", "Tmpfs", "Init", "ReadonlyRootfs", "CapDrop", "SecurityOpt", "LogConfig")
"""What each of our containers is given besides folders, network and limits."""
UNDEFINED = (
    "Privileged",
    "CapAdd",
    "Devices",
    "PidMode",
    "UTSMode",
    "UsernsMode",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Sysctls",
    "AutoRemove",
)
"""What none of our containers is given. More folders are the user's own, and ulimits may be the engine's: it
writes its default-ulimits into each container, and tells nobody which they are.
"""
LABELLED = (labels.WEB_PORT, labels.LOG_DIR, labels.DB_PATH, labels.MODE, labels.STOP_TIMEOUT)
"""The labels whose values are in the config's hash: with the same hash they are the same in each version."""


def were_redefined(host: Mapping[str, Any], spec: InstanceSpec, fleet: Fleet) -> list[str]:
    """Return in what else a container is not as we make it, as names in the engine's API: it was made by
    hand, or by Compose with a file of the user's own.

    `host`: its HostConfig.
    """
    wanted = _host_config(spec, fleet, f"{spec.web_port}/tcp")
    present = {**host, "LogConfig": _log_config(host.get("LogConfig") or {}, wanted["LogConfig"])}
    return [
        *(name for name in DEFINED if present.get(name) != wanted[name]),
        *(name for name in UNDEFINED if host.get(name)),
    ]


def _log_config(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a container's LogConfig without the options that are not ours: an engine whose own driver is the
    same adds its log-opts to those of each container.
    """
    options = given.get("Config") or {}
    return {"Type": given.get("Type"), "Config": {k: v for k, v in options.items() if k in wanted["Config"]}}


def were_relisted(
    container: Container, spec: InstanceSpec, image_config: Mapping[str, Any] | None
) -> list[str]:
    """Return what the engine's list says otherwise than it did when a container was made from its config:
    labels, what it runs as `Entrypoint`, and its arguments as `Cmd`.

    `image_config`: the Config of the image that it was made from; None for an image other than the fleet's.
    """
    wanted = _spec_labels(spec)
    command = " ".join(f"'{word}'" if " " in word else word for word in spec.command)
    names = [label for label in LABELLED if container.labels.get(label, wanted[label]) != wanted[label]]
    if not container.command:
        return names
    if not container.command.endswith(command):
        return [*names, "Cmd"]
    program, *words = (image_config or {}).get("Entrypoint") or [""]
    entrypoint = " ".join([program, *(f"'{word}'" if " " in word else word for word in words)])
    is_another = bool(program) and container.command != (
        f"{entrypoint} {command}" if spec.command else entrypoint
    )
    return [*names, "Entrypoint"] if is_another else names


PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"})
"""What the docker command adds, by its own settings, to each container that it makes. `doctor` says so."""


def were_reconfigured(
    config: Mapping[str, Any], spec: InstanceSpec, fleet: Fleet, image_config: Mapping[str, Any] | None
) -> list[str]:
    """Return in what its Config is not as we make it, as names in the engine's API; `Env` with the variables.

    `image_config`: as in `were_relisted`. Without it, only what its image does not determine is compared.
    """
    own, given = spec.environment(), _environment(config)
    wanted = {**_environment(image_config or {}), **own}
    variables = [name for name in {**wanted, **given} if given.get(name) != wanted.get(name)]
    if image_config is None:
        variables = [name for name in variables if name in own]
    variables = [name for name in variables if name in wanted or name.upper() not in PROXIES]
    check, wanted_check = config.get("Healthcheck") or {}, _healthcheck(fleet, START_INTERVAL_API)
    is_another_check = any(
        check.get(key) != wanted_check.get(key) and not (key == "StartInterval" and not check.get(key))
        for key in {**check, **wanted_check}
    )
    return [
        *(f"Env {replace_unprintable(name)}" for name in sorted(variables)),
        *(["Healthcheck"] if is_another_check else []),
        *(["StopTimeout"] if config.get("StopTimeout") != spec.container_stop_timeout else []),
        *(["Tty"] if config.get("Tty") else []),
        *(
            name
            for name in ("Entrypoint", "StopSignal", "WorkingDir")
            if image_config is not None and (config.get(name) or "") != (image_config.get(name) or "")
        ),
    ]


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    return {name: value for name, equals, value in pairs if equals}


def _healthcheck(fleet: Fleet, api_version: tuple[int, int]) -> dict[str, Any]:
    if not fleet.engine_health_interval:
        return {"Test": ["NONE"]}
    check = {
        "Test": ["CMD", HEALTHCHECK],
        "Interval": fleet.engine_health_interval * SECOND_NS,
        "Timeout": HEALTH_TIMEOUT_S * SECOND_NS,
        "StartPeriod": HEALTH_START_PERIOD_S * SECOND_NS,
        "Retries": 1,
    }
    if api_version >= START_INTERVAL_API:
        check["StartInterval"] = HEALTH_START_INTERVAL_S * SECOND_NS
    return check


def memory_text(memory: int) -> str:
    """Return bytes in Compose's format: `2048m`."""
    return f"{memory // MIB}m"
