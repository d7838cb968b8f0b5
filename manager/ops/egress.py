"""Put the rules of `[container] egress` in force on this machine, look whether they are, and remove them.

Needs root, or sudo without a question. Rules do not survive a reboot, nor a firewall that loads its own anew:
`up` and other starts set them again, and `manager watch` does so every minute.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.config.variables import select_variables
from manager.engine import egress_rules
from manager.engine.client import Engine
from manager.engine.egress_rules import Allowed, Target
from manager.errors import ManagerError, writing_to
from manager.fleet.project import Project
from manager.i18n import Text
from manager.util import atomic_file, ownership, strict_json

RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The engine takes the second one where the first names a resolver on loopback."""
TIMEOUT_S = 20
LOCK_WAIT_S = "10"
"""Another program may hold the lock of the firewall's tables."""
SYSTEM_FOLDERS = "/usr/sbin:/sbin"

Run = Callable[[list[str], str], str]


class Look(NamedTuple):
    """Hold what was found. `why`: why the rules are not in force, or cannot be looked at."""

    is_wanted: bool
    is_in_force: bool = False
    has_ipv6: bool = False
    why: Text | None = None


def concerns(fleet: Fleet) -> bool:
    """Return whether this fleet has, or had, rules of its own."""
    return fleet.egress is not False or fleet.egress_file.exists()


def settle(engine: Engine, project: Project, run: Run | None = None) -> bool:
    """Set the rules if they are not in force, or remove what was switched off. Return whether it did.

    Nothing is done while the fleet's network does not exist: no container runs in it. Raises ManagerError.
    """
    fleet, run = project.fleet, run or iptables
    if not concerns(fleet):
        return False
    names = egress_rules.chains(fleet.name)
    network = engine.network(fleet.network)
    if fleet.egress is False or not network:
        if not fleet.egress_file.exists():
            return False
        listing = run(["iptables", "-S"], "")
        if egress_rules.has_any(listing, names):
            run(_restore(), egress_rules.removal(listing, names))
        with suppress(OSError):
            fleet.egress_file.unlink()
        return True
    interface = _interface(network)
    hosts = _hosts(project)
    wanted = egress_rules.rules(names, fleet.name, allowed_by(project, hosts))
    jumps = egress_rules.jumps(names, interface, fleet.name)
    listing = run(["iptables", "-S"], "")
    if egress_rules.is_in_force(listing, wanted, jumps):
        return False
    if f"-N {egress_rules.ENGINE_CHAIN}" not in listing.splitlines():
        raise ManagerError(
            "cannot limit what bots reach ([container] egress): the engine keeps no chain {chain} here (it"
            " runs with iptables=false, or with nftables)",
            chain=egress_rules.ENGINE_CHAIN,
        )
    _save(
        fleet, {host: found for (host, _port), found in hosts.items()}
    )  # before there is anything to remove
    run(_restore(), egress_rules.replacement(listing, wanted, jumps))
    return True


def look(engine: Engine, project: Project, run: Run | None = None) -> Look:
    """Return whether the rules are in force, changing nothing."""
    fleet, run = project.fleet, run or iptables
    if fleet.egress is False:
        return Look(is_wanted=False)
    network = engine.network(fleet.network)
    if not network:
        return Look(is_wanted=True, is_in_force=True)
    has_ipv6 = bool(network.get("EnableIPv6"))
    try:
        interface = _interface(network)
        names = egress_rules.chains(fleet.name)
        wanted = egress_rules.rules(names, fleet.name, allowed_by(project, _hosts(project)))
        listing = run(["iptables", "-S"], "")
    except ManagerError as error:
        return Look(is_wanted=True, has_ipv6=has_ipv6, why=error.text)
    jumps = egress_rules.jumps(names, interface, fleet.name)
    is_in_force = egress_rules.is_in_force(listing, wanted, jumps)
    why = (
        None
        if is_in_force
        else Text("the firewall's rules are missing, or are not those of config/fleet.toml")
    )
    return Look(is_wanted=True, is_in_force=is_in_force, has_ipv6=has_ipv6, why=why)


Hosts = Mapping[tuple[str, int | None], tuple[str, ...]]
"""Host and port of a proxy → the host's addresses."""


def allowed_by(project: Project, hosts: Hosts) -> Allowed:
    """Return what the fleet's bots may reach."""
    chosen = project.fleet.egress
    proxies = {Target(f"{address}/32", port) for (_host, port), found in hosts.items() for address in found}
    targets = None if isinstance(chosen, bool) else tuple(map(egress_rules.parse_target, chosen))
    ordered = sorted(proxies, key=lambda target: (target.network, target.port or 0))
    return Allowed(resolvers(), tuple(ordered), targets)


def _hosts(project: Project) -> dict[tuple[str, int | None], tuple[str, ...]]:
    """Resolve the proxies in use. One whose name cannot be resolved now is where it was."""
    known = _known(project.fleet)
    passed = select_variables(project.fleet.variables, project.variables)
    return {
        (host, port): _resolved(host) or known.get(host, ())
        for host, port in dict.fromkeys(egress_rules.addresses_in(passed))
    }


def resolvers(files: Iterable[Path] = RESOLVER_FILES) -> tuple[str, ...]:
    """Return the name servers that the engine may ask for the containers."""
    found: dict[str, None] = {}
    for file in files:
        with suppress(OSError):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver" and _is_outer(words[1]):
                    found[words[1]] = None
    return tuple(found)


def iptables(words: list[str], text: str) -> str:
    """Run a program of the firewall and return its output. Raises ManagerError."""
    import shutil  # with its archives' formats, which an `up` without limits need not load
    import subprocess

    program, *rest = words
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    if path is None:
        raise ManagerError(
            "cannot limit what bots reach ([container] egress): {program} is not installed", program=program
        )
    command = [*([] if os.geteuid() == 0 else ["sudo", "-n"]), path, "-w", LOCK_WAIT_S, *rest]
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(program, str(error)) from error
    if done.returncode != 0:
        raise _failed(program, (done.stderr.strip().splitlines() or ["?"])[-1])
    return done.stdout


def _failed(program: str, why: str) -> ManagerError:
    return ManagerError(
        "cannot limit what bots reach ([container] egress): {program}: {why}; run the command as root, or"
        " set egress = false in config/fleet.toml",
        program=program,
        why=why,
    )


def _restore() -> list[str]:
    return ["iptables-restore", "--noflush"]


def _interface(network: Mapping[str, Any]) -> str:
    """Return the network's interface. Raises ManagerError if the engine runs elsewhere."""
    name = egress_rules.bridge(str(network["Id"]), network.get("Options") or {})
    if name not in {interface for _index, interface in socket.if_nameindex()}:
        raise ManagerError(
            "cannot limit what bots reach ([container] egress): the engine's network {network} is not on this"
            " machine (a remote or rootless engine); set egress = false in config/fleet.toml, and use the"
            " firewall there",
            network=str(network.get("Name", "")),
        )
    return name


def _resolved(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(sorted({str(entry[4][0]) for entry in found if _is_outer(str(entry[4][0]))}))


def _is_outer(address: str) -> bool:
    """Return whether it is an IPv4 address that means the same in a container."""
    try:
        return not ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False


def _known(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """Return host → addresses as last resolved."""
    try:
        content: Any = strict_json.read(fleet.egress_file)
        return {str(host): tuple(map(str, found)) for host, found in content["hosts"].items()}
    except (strict_json.JsonFault, TypeError, KeyError, AttributeError, OSError):
        return {}


def _save(fleet: Fleet, hosts: Mapping[str, tuple[str, ...]]) -> None:
    """Note that there are rules to remove one day. Raises ManagerError: else they would stay for ever."""
    with writing_to(fleet.egress_file):
        ownership.make_folder(fleet.state_dir)
        atomic_file.write_atomically(
            fleet.egress_file, {"hosts": {host: list(found) for host, found in hosts.items()}}
        )
        ownership.give_to_folder_owner(fleet.egress_file)
