"""What a changed config changes in an instance's container: each argument, variable and limit, old → new. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manager.config.fleet import Fleet
from manager.config.spec import MIB, InstanceSpec
from manager.i18n import Text, mark
from manager.util.sanitize import replace_unprintable

NONE = mark("none")
LONGEST = 80

LIMITS: Mapping[str, str] = {
    "Memory": mark("memory (MiB)"),
    "NanoCpus": mark("CPU (percent of a core)"),
    "PidsLimit": mark("processes"),
}


def changes(before: Mapping[str, Any], spec: InstanceSpec, fleet: Fleet) -> list[Text]:
    """Return one line for each difference. `before`: what the engine's inspect says of the container."""
    config, host = before.get("Config") or {}, before.get("HostConfig") or {}
    old_environ = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    new_environ = spec.environment()
    names = [
        name
        for name in sorted({*new_environ, *(each for each in old_environ if each.startswith("BOTFLEET_"))})
        if name not in {"BOTFLEET_BOT_COMMAND", "BOTFLEET_CANCEL_COMMAND"}  # the image's
    ]
    pairs: list[tuple[object, str | None, str | None]] = []
    old_options, new_options = options(config.get("Cmd") or ()), options(spec.command)
    pairs += [(each, old_options.get(each), new_options.get(each)) for each in {**new_options, **old_options}]
    pairs += [(each, old_environ.get(each), new_environ.get(each)) for each in names]
    limits = (
        ("Memory", _whole(host.get("Memory"), MIB), str(spec.memory // MIB)),
        ("NanoCpus", _whole(host.get("NanoCpus"), 10_000_000), str(spec.nano_cpus // 10_000_000)),
        ("PidsLimit", _whole(host.get("PidsLimit"), 1), str(fleet.pids_limit)),
    )
    pairs += [(Text(LIMITS[key]), old, new) for key, old, new in limits]
    return [
        Text("{what} {old} → {new}", what=what, old=_shown(old), new=_shown(new))
        for what, old, new in pairs
        if old != new
    ]


def options(argv: Sequence[str]) -> dict[str, str]:
    """Return option → value of a bot's arguments; what is no option stands under its place."""
    found: dict[str, str] = {}
    name = ""
    for index, word in enumerate(argv):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found[name] = value if equals else ""
        elif name and not found[name]:
            found[name] = word
        else:
            found[f"[{index}]"] = word
    return found


def _whole(value: object, unit: int) -> str | None:
    return str(value // unit) if isinstance(value, int) else None


def _shown(value: str | None) -> object:
    if value is None:
        return Text(NONE)
    return replace_unprintable(value[:LONGEST]) or Text(mark("set"))
