"""Compare a container with its changed config: each argument, variable and limit, old → new. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config, labels
from manager.i18n import Text, mark
from manager.typed import Any
from manager.util.formatting import MIB
from manager.util.sanitize import replace_unprintable

NONE = mark("none")
LONGEST = 80

LOGS: Mapping[str, str] = {
    "max-size": mark("size of the engine's logs"),
    "max-file": mark("files of the engine's logs"),
}
LIMITS: Mapping[str, str] = {
    "Memory": mark("memory (MiB)"),
    "NanoCpus": mark("CPU (percent of a core)"),
    "PidsLimit": mark("processes"),
}


def changes(before: Mapping[str, Any], spec: InstanceSpec, fleet: Fleet) -> list[Text]:
    """Return one line for each difference. `before`: the container as the engine's inspect returns it."""
    config, host = before.get("Config") or {}, before.get("HostConfig") or {}
    old_environ = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    new_environ = spec.environment()
    names = [
        name
        for name in sorted({*new_environ, *(name for name in old_environ if name.startswith("BOTFLEET_"))})
        if name not in {"BOTFLEET_BOT_COMMAND", "BOTFLEET_CANCEL_COMMAND"}  # the image's
    ]
    pairs: list[tuple[object, str | None, str | None]] = []
    old_options, new_options = options(config.get("Cmd") or ()), options(spec.command)
    pairs += [(name, old_options.get(name), new_options.get(name)) for name in {**new_options, **old_options}]
    if old_options == new_options:  # in another order, which a bot may heed
        pairs.append((Text("arguments"), " ".join(config.get("Cmd") or ()), " ".join(spec.command)))
    pairs += [(name, old_environ.get(name), new_environ.get(name)) for name in names]
    limits = (
        ("Memory", _whole(host.get("Memory"), MIB), str(spec.memory // MIB)),
        ("NanoCpus", _whole(host.get("NanoCpus"), 10_000_000), str(spec.nano_cpus // 10_000_000)),
        ("PidsLimit", _whole(host.get("PidsLimit"), 1), str(fleet.pids_limit)),
    )
    pairs += [(Text(LIMITS[key]), old, new) for key, old, new in limits]
    pairs += [change for change in _of_surroundings(config, host, spec, fleet) if change[1] is not None]
    changed = [
        Text("{what} {old} → {new}", what=label, **_shown_pair(old, new))
        for label, old, new in pairs
        if old != new
    ]
    return changed or [_of_variables(spec)]


def _of_surroundings(
    config: Mapping[str, Any], host: Mapping[str, Any], spec: InstanceSpec, fleet: Fleet
) -> list[tuple[object, str | None, str | None]]:
    """Return what is no argument, variable or limit: folders, addresses, the engine's own settings."""
    log = (host.get("LogConfig") or {}).get("Config") or {}
    bindings = [binding for some in (host.get("PortBindings") or {}).values() for binding in some or ()]
    health = config.get("Healthcheck") or {}
    return [
        ("log_dir", (config.get("Labels") or {}).get(labels.LOG_DIR), spec.log_dir),
        ("bind_address", bindings[0].get("HostIp") if bindings else None, fleet.bind_address),
        ("image", config.get("Image"), fleet.image_name),
        *(
            (folder, (host.get("Tmpfs") or {}).get(folder), wanted)
            for folder, wanted in container_config.tmpfs_options(fleet).items()
        ),
        (Text(LOGS["max-size"]), log.get("max-size"), f"{fleet.log_max_size_mb}m"),
        (Text(LOGS["max-file"]), log.get("max-file"), str(fleet.log_max_files)),
        (
            Text(mark("the engine's health check (seconds)")),
            _whole(health.get("Interval"), 10**9),
            str(round(fleet.engine_health_interval)),
        ),
    ]


def _of_variables(spec: InstanceSpec) -> Text:
    """Return what the config names: of a container it is only known that these were other ones."""
    names = sorted({variable.name for variable in spec.variables} | set(spec.literals))
    return Text(
        "the variables of exchange_config or environment are other ones, now {names}",
        names=", ".join(names) or Text(NONE),
    )


def options(argv: Sequence[str]) -> dict[str, str]:
    """Return option → value of a bot's arguments. A positional argument is keyed by its index, an option that
    is there again by how often, too.
    """
    values: dict[str, str] = {}
    times: dict[str, int] = {}
    name = ""
    for index, argument in enumerate(argv):
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            times[name] = times.get(name, 0) + 1
            name = name if times[name] == 1 else f"{name} ({times[name]})"
            values[name] = value if equals else ""
        elif name and not values[name]:
            values[name] = argument
        else:
            values[f"[{index}]"] = argument
    return values


def _whole(value: object, unit: int) -> str | None:
    return str(value // unit) if isinstance(value, int) else None


def _shown_pair(old: str | None, new: str | None) -> Mapping[str, object]:
    """Return two values as they are shown: long ones from where they differ."""
    if old is not None and new is not None and max(len(old), len(new)) > LONGEST:
        shorter = min(len(old), len(new))
        same = next((at for at in range(shorter) if old[at] != new[at]), shorter)
        if same > LONGEST // 2:
            old, new = (f"…{value[same - LONGEST // 2 :]}" for value in (old, new))
    return {"old": _shown(old), "new": _shown(new)}


def _shown(value: str | None) -> object:
    if value is None:
        return Text(NONE)
    return replace_unprintable(value[:LONGEST]) or Text(mark("set"))
