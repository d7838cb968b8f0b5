"""Put the rules of `[container] egress` in force on this machine, look whether they are, and remove them.

Needs root, or sudo without a question. Rules do not survive a reboot, nor a firewall that loads its own anew:
`up` and other starts set them again, and `manager watch` does so every minute.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from manager.config.fleet import Fleet
from manager.config.variables import select_variables
from manager.engine import egress_rules
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.engine.egress_rules import Allowed, Target
from manager.errors import ManagerError
from manager.fleet.project import Project
from manager.i18n import Text, mark
from manager.ops.egress import egress_record
from manager.typed import NamedTuple

RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The engine takes the second one where the first names a resolver on loopback."""
TIMEOUT_S = 20
LOCK_WAIT_S = "10"
"""Another program may hold the lock of the firewall's tables."""
SYSTEM_FOLDERS = "/usr/sbin:/sbin"

UNSET = mark(
    "cannot limit what bots reach ([container] egress): {why}; run the command as root, or set egress = false"
    " in config/fleet.toml"
)
LEFT = mark(
    "the firewall rules that [container] egress set earlier remain, and go on limiting what bots reach:"
    " {why}; run `manager up` or `manager down` as root once, which removes them (as does `manager watch` of"
    " root)"
)

Run = Callable[[list[str], str], str]


class FirewallFault(ManagerError):
    """Signal that the firewall cannot be read or changed."""


class EgressStatus(NamedTuple):
    """Hold what was found. `why`: why the rules are not in force, or cannot be looked at."""

    is_wanted: bool
    is_in_force: bool = False
    why: Text | None = None


def settle(engine: Engine, project: Project, run: Run | None = None) -> bool:
    """Set the rules if they are not in force, or remove what was switched off. Return whether it did.

    Nothing is set while the fleet's network does not exist: no container runs in it. Raises ManagerError.
    """
    run = run or iptables
    is_changed = _settle_6(engine, project, run)
    return _settle_4(engine, project, run) or is_changed


def _settle_6(engine: Engine, project: Project, run: Run) -> bool:
    """Do for ip6tables what `settle` does, where the fleet's network has IPv6, or had it."""
    fleet = project.fleet
    if fleet.egress is False and not fleet.egress_file.exists():
        return False
    network, record = engine.network(fleet.network), egress_record.load(fleet)
    is_wanted = fleet.egress is not False and bool(network.get("EnableIPv6"))
    if not is_wanted and not record.has_ipv6:
        return False
    names = egress_rules.chains(fleet.name)
    with _advised(UNSET if is_wanted else LEFT):
        listing = run(["ip6tables", "-S"], "")
    others = record.chains - set(names)
    gone = others if fleet.egress is False else _gone(listing, others)
    if not is_wanted:
        gone |= set(names)
    is_left = egress_rules.has_any(listing, gone)
    if is_left:
        with _advised(LEFT):
            run(["ip6tables-restore", "--noflush"], egress_rules.removal(listing, gone))
    if not is_wanted:
        if others <= gone:
            egress_record.save(fleet, record._replace(has_ipv6=False))
        return is_left
    interface = _interface(network)
    wanted, jumps = _wanted_6(project, interface, listing)
    if _is_in_force(listing, interface, wanted, jumps):
        return is_left
    egress_record.save(fleet, record._replace(has_ipv6=True, chains=record.chains | set(names)))
    with _advised(UNSET):
        run(["ip6tables-restore", "--noflush"], egress_rules.replacement(listing, wanted, jumps))
    return True


def _wanted_6(
    project: Project, interface: str, listing: str
) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Return the rules and jumps of ip6tables, in which not every engine keeps a chain for others."""
    fleet = project.fleet
    names = egress_rules.chains(fleet.name)
    forward = egress_rules.forward_chain(listing, interface)
    targets = None if isinstance(fleet.egress, bool) else ()
    rules = egress_rules.rules_6(names, fleet.name, Allowed(targets=targets))
    return rules, egress_rules.jumps(names, interface, fleet.name, forward)


def _settle_4(engine: Engine, project: Project, run: Run) -> bool:
    """Do it for iptables."""
    fleet = project.fleet
    names = egress_rules.chains(fleet.name)
    network = engine.network(fleet.network)
    record = egress_record.load(fleet)
    if fleet.egress is False or not network:
        return fleet.egress_file.exists() and _remove(fleet, record, run)
    interface = _interface(network)
    wanted_hosts = _wanted_hosts(project)
    hosts = egress_record.located(tuple({host for host, _port in wanted_hosts}), record.hosts)
    wanted = egress_rules.rules(names, fleet.name, allowed_by(project, wanted_hosts, hosts))
    with _advised(UNSET):
        listing = run(["iptables", "-S"], "")
    jumps = egress_rules.jumps(names, interface, fleet.name, egress_rules.forward_chain(listing, interface))
    gone = _gone(listing, record.chains - set(names))
    after = egress_record.Record(hosts, record.chains - gone | set(names), record.has_ipv6)
    if _is_in_force(listing, interface, wanted, jumps) and not gone:
        if after.chains != record.chains or egress_record.is_worth_noting(record.hosts, hosts):
            with suppress(ManagerError):  # the next look notes it
                egress_record.save(fleet, after)
        return False
    if f"-N {egress_rules.ENGINE_CHAIN}" not in listing.splitlines():
        raise ManagerError(
            "cannot limit what bots reach ([container] egress): the engine keeps no chain {chain} here (it"
            " runs with iptables=false, or with nftables)",
            chain=egress_rules.ENGINE_CHAIN,
        )
    # before there is anything to remove, and with what is only removed below
    egress_record.save(fleet, after._replace(chains=after.chains | gone))
    with _advised(UNSET):
        if egress_rules.has_any(listing, gone):
            run(_restore(), egress_rules.removal(listing, gone))
        run(_restore(), egress_rules.replacement(listing, wanted, jumps))
    if gone:
        egress_record.save(fleet, after)
    return True


def _remove(fleet: Fleet, record: egress_record.Record, run: Run) -> bool:
    """Remove what this fleet has set, also under an earlier name, unless containers of that name may run."""
    ours = record.chains | set(egress_rules.chains(fleet.name))
    with _advised(LEFT):
        listing = run(["iptables", "-S"], "")
        others = ours - set(egress_rules.chains(fleet.name))
        others_kept = frozenset() if fleet.egress is False else others - _gone(listing, others)
        if egress_rules.has_any(listing, ours - others_kept):
            run(_restore(), egress_rules.removal(listing, ours - others_kept))
    if not others_kept:
        egress_record.forget(fleet)
    elif others_kept != record.chains:
        egress_record.save(fleet, record._replace(chains=others_kept))
    return bool(ours - others_kept)


def _gone(listing: str, chains: Iterable[str]) -> frozenset[str]:
    """Return the chains of an earlier name of the fleet that limit nothing: their network does not exist."""
    present = {interface for _index, interface in socket.if_nameindex()}
    return frozenset(chain for chain in chains if not present & set(egress_rules.interfaces(listing, chain)))


def look(engine: Engine, project: Project, run: Run | None = None) -> EgressStatus:
    """Return whether the rules are in force, changing nothing."""
    fleet, run = project.fleet, run or iptables
    if fleet.egress is False:
        return EgressStatus(is_wanted=False)
    network = engine.network(fleet.network)
    if not network:
        return EgressStatus(is_wanted=True, is_in_force=True)
    has_ipv6 = bool(network.get("EnableIPv6"))
    try:
        interface = _interface(network)
        names = egress_rules.chains(fleet.name)
        wanted_hosts, hosts = _wanted_hosts(project), dict(egress_record.load(fleet).hosts)
        hosts |= egress_record.located([host for host, _port in wanted_hosts if host not in hosts], {})
        wanted = egress_rules.rules(names, fleet.name, allowed_by(project, wanted_hosts, hosts))
        with _advised(UNSET):
            listing = run(["iptables", "-S"], "")
    except ManagerError as error:
        return EgressStatus(is_wanted=True, why=error.text)
    forward = egress_rules.forward_chain(listing, interface)
    jumps = egress_rules.jumps(names, interface, fleet.name, forward)
    why = _why_not(listing, interface, wanted, jumps)
    if why is None and has_ipv6:
        try:
            with _advised(UNSET):
                listing = run(["ip6tables", "-S"], "")
        except ManagerError as error:
            return EgressStatus(is_wanted=True, why=error.text)
        why = _why_not(listing, interface, *_wanted_6(project, interface, listing))
    return EgressStatus(is_wanted=True, is_in_force=why is None, why=why)


def uncovered(fleet: Fleet, containers: Iterable[Container]) -> Text | None:
    """Return which bot somebody has connected to a network that the rules say nothing of; None if none is."""
    for container in containers:
        others = sorted(set(container.networks or ()) - {fleet.network})
        if fleet.egress is not False and container.is_up and others:
            return Text(
                "{id} is in the network {network} too, to which the rules do not apply; run `docker network"
                " disconnect {network} {container}`",
                id=container.instance,
                network=others[0],
                container=container.name,
            )
    return None


def _is_in_force(
    listing: str, interface: str, wanted: Mapping[str, list[str]], jumps: list[tuple[str, str]]
) -> bool:
    return _why_not(listing, interface, wanted, jumps) is None


def _why_not(
    listing: str, interface: str, wanted: Mapping[str, list[str]], jumps: list[tuple[str, str]]
) -> Text | None:
    """Return why the rules are not in force; None if they are."""
    is_complete = egress_rules.is_in_force(listing, wanted, jumps)
    rule = egress_rules.passed_before(listing, interface, jumps)
    is_in_front = rule is not None and rule.startswith("FORWARD ") and egress_rules.has_any(listing, wanted)
    if rule is not None and (is_complete or is_in_front):
        return Text("another rule of the firewall lets traffic pass before they are asked: {rule}", rule=rule)
    if not is_complete:
        return Text("the firewall's rules are missing, or are not those of config/fleet.toml")
    return None


def allowed_by(
    project: Project, wanted: Iterable[tuple[str, int | None]], hosts: egress_record.Hosts
) -> Allowed:
    """Return what the fleet's bots may reach. `wanted`: the proxies, each with its port."""
    chosen = project.fleet.egress
    proxies = {Target(f"{address}/32", port) for host, port in wanted for address in hosts[host]}
    targets = None if isinstance(chosen, bool) else tuple(map(egress_rules.parse_target, chosen))
    ordered = sorted(proxies, key=lambda target: (target.network, target.port or 0))
    return Allowed(resolvers(), tuple(ordered), targets)


def _wanted_hosts(project: Project) -> list[tuple[str, int | None]]:
    """Return host and port of the proxies in use."""
    passed = select_variables(project.fleet.variables, project.variables)
    return list(dict.fromkeys(egress_rules.addresses_in(passed)))


def resolvers(files: Iterable[Path] = RESOLVER_FILES) -> tuple[str, ...]:
    """Return the name servers that the engine may ask for the containers."""
    addresses: dict[str, None] = {}
    for file in files:
        with suppress(OSError):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver" and egress_record.is_outer(words[1]):
                    addresses[words[1]] = None
    return tuple(addresses)


def iptables(words: list[str], text: str) -> str:
    """Run a program of the firewall and return its output. Raises FirewallFault."""
    import shutil  # with its archives' formats, which an `up` without limits need not load
    import subprocess

    program, *rest = words
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    if path is None:
        raise FirewallFault("{program} is not installed", program=program)
    command = [*([] if os.geteuid() == 0 else ["sudo", "-n"]), path, "-w", LOCK_WAIT_S, *rest]
    try:
        completed = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirewallFault("{program}: {why}", program=program, why=str(error)) from error
    if completed.returncode != 0:
        why = (completed.stderr.strip().splitlines() or ["?"])[-1]
        raise FirewallFault("{program}: {why}", program=program, why=why)
    return completed.stdout


@contextmanager
def _advised(advice: str) -> Iterator[None]:
    """Say what a fault of the firewall means here."""
    try:
        yield
    except FirewallFault as fault:
        raise ManagerError(advice, why=fault) from fault


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
