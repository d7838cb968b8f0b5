"""Determine the firewall rules that limit what a fleet's containers may reach. Pure.

Each fleet has two chains of its own, so that fleets leave each other's rules alone: one that DOCKER-USER
jumps to, for what leaves this machine or goes to other containers, and one that INPUT jumps to, for this
machine's own services, which no rule of FORWARD concerns. They only refuse; what they let through meets the
rules that were there before.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from manager.config.steering import steered_by
from manager.engine.firewall_order import passing_before
from manager.typed import NamedTuple

ENGINE_CHAIN = "DOCKER-USER"
"""The engine keeps this chain for the rules of others."""
METADATA = ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
"""Where cloud providers answer every program of a machine with its credentials."""
METADATA_6 = ("fd00:ec2::254/128", "fd20:ce::254/128", "fe80::/10")
"""The same by IPv6, and the addresses of links."""
NEIGHBOURS = (133, 135, 136)
"""ICMPv6 types by which a container finds its gateway at all."""
REFUSE = "-j REJECT --reject-with icmp-admin-prohibited"
REFUSE_6 = "-j REJECT --reject-with icmp6-adm-prohibited"
PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "socks4": 1080, "socks5": 1080, "socks5h": 1080}
JUMP = re.compile(r"-A (\S+) (.*-j (BOTFLEET-[FI]-[0-9a-f]{10}))")


class Target(NamedTuple):
    """Hold an IPv4 network, and one port of it or every port."""

    network: str
    port: int | None = None

    @property
    def is_one_address(self) -> bool:
        """Return whether it is a single address, which may be one of this machine's own."""
        return self.network.endswith("/32")


class Allowed(NamedTuple):
    """Hold what may be reached: this machine's resolvers, the fleet's proxies, and the list of fleet.toml.

    `targets` is None where every address may be reached that is not refused.
    """

    resolvers: tuple[str, ...] = ()
    proxies: tuple[Target, ...] = ()
    targets: tuple[Target, ...] | None = None


class Chains(NamedTuple):
    """Hold the names of a fleet's chains, at most 28 characters long."""

    forward: str
    input: str


def chains(fleet: str) -> Chains:
    """Return the names of the chains of the fleet with this name."""
    digest = hashlib.sha256(fleet.encode()).hexdigest()[:10]
    return Chains(f"BOTFLEET-F-{digest}", f"BOTFLEET-I-{digest}")


def bridge(network_id: str, options: Mapping[str, str]) -> str:
    """Return the name of a network's interface on the engine's machine."""
    return options.get("com.docker.network.bridge.name") or f"br-{network_id[:12]}"


def parse_target(text: str) -> Target:
    """Return `1.2.3.4`, `10.0.0.0/8` or either with `:port`. Raises ValueError."""
    address, _colon, port = text.partition(":")
    network = ipaddress.IPv4Network(address, strict=False)
    if not _colon:
        return Target(str(network))
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(text)
    return Target(str(network), int(port))


def addresses_in(variables: Mapping[str, str]) -> Iterator[tuple[str, int | None]]:
    """Yield (host, port) of the proxies and other addresses that these variables point bots to."""
    for name, value in variables.items():
        if name.upper() == "NO_PROXY" or steered_by(name) not in {"proxies", "addresses"}:
            continue
        try:
            url = urllib.parse.urlsplit(value if "://" in value else f"//{value}")
            if url.hostname:
                yield url.hostname, url.port or PORTS.get(url.scheme)
        except ValueError:  # no port, no IPv6 address
            continue


def rules(names: Chains, comment: str, allowed: Allowed) -> dict[str, list[str]]:
    """Return chain → rules, as iptables-restore reads them. The first one of each names fleet and content."""
    return _tagged(names, comment, list(_forward(allowed)), list(_input(allowed)))


def _tagged(names: Chains, comment: str, forward: list[str], inward: list[str]) -> dict[str, list[str]]:
    digest = hashlib.sha256("\n".join([*forward, "", *inward]).encode()).hexdigest()[:12]
    tag = f'-m comment --comment "botfleet {comment} {digest}"'
    head = f"-m conntrack --ctstate RELATED,ESTABLISHED {tag} -j RETURN"
    return {
        names.forward: [f"-A {names.forward} {rule}" for rule in (head, *forward)],
        names.input: [f"-A {names.input} {rule}" for rule in (head, *inward)],
    }


def rules_6(names: Chains, comment: str, allowed: Allowed) -> dict[str, list[str]]:
    """Return the same for ip6tables. Resolvers, proxies and the list are IPv4: by IPv6 none is reached."""
    forward = [
        *(f"-d {network} {REFUSE_6}" for network in METADATA_6),
        f"-m conntrack --ctstate DNAT {REFUSE_6}",
    ]
    if allowed.targets is not None:
        forward.append(REFUSE_6)
    inward = [f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN" for kind in NEIGHBOURS]
    return _tagged(names, comment, forward, [*inward, REFUSE_6])


def jumps(names: Chains, interface: str, comment: str, forward: str = ENGINE_CHAIN) -> list[tuple[str, str]]:
    """Return (chain of others, the rule that jumps from there to ours)."""
    rest = f'-i {interface} -m comment --comment "botfleet {comment}" -j'
    return [(forward, f"{rest} {names.forward}"), ("INPUT", f"{rest} {names.input}")]


def forward_chain(listing: str, interface: str) -> str:
    """Return the chain to jump from: the engine's, or FORWARD itself where another rule comes before that."""
    engines = f"-j {ENGINE_CHAIN}"
    is_asked = passing_before(listing, interface, "FORWARD", engines) is None
    return ENGINE_CHAIN if is_asked else "FORWARD"


def passed_before(listing: str, interface: str, wanted_jumps: list[tuple[str, str]]) -> str | None:
    """Return a rule, with its chain, that may let traffic pass before ours are asked; None for none."""
    for chain, ours in wanted_jumps:
        rule = passing_before(listing, interface, chain, ours)
        if rule is not None and rule != ours:
            return f"{chain} {rule}"
    return None


def is_in_force(listing: str, wanted: Mapping[str, list[str]], wanted_jumps: list[tuple[str, str]]) -> bool:
    """Return whether a listing (`iptables -S`) has these chains, complete, and only these jumps to them.

    Whether others come before them is `passed_before`.
    """
    lines = listing.splitlines()
    for chain, entries in wanted.items():
        present = [line for line in lines if line.startswith(f"-A {chain} ")]
        if len(present) != len(entries) or _comment(entries[0]) not in present[0]:
            return False
    jumps = [(match[1], match[2]) for match in map(JUMP.fullmatch, lines) if match and match[3] in wanted]
    return sorted(jumps) == sorted(wanted_jumps)


def has_any(listing: str, names: Iterable[str]) -> bool:
    """Return whether a listing has one of these chains."""
    return any(f"-N {chain}" in listing.splitlines() for chain in names)


def interfaces(listing: str, name: str) -> list[str]:
    """Return the interfaces from which a listing jumps to this chain."""
    jumps = [match for match in map(JUMP.fullmatch, listing.splitlines()) if match and match[3] == name]
    return [words[words.index("-i") + 1] for match in jumps if "-i" in (words := match[2].split())]


def replacement(listing: str, wanted: Mapping[str, list[str]], wanted_jumps: list[tuple[str, str]]) -> str:
    """Return the input of `iptables-restore --noflush` that sets these chains, all at once."""
    lines = ["*filter", *(f":{chain} - [0:0]" for chain in wanted), *_jumps_away(listing, wanted)]
    lines += [rule for entries in wanted.values() for rule in entries]
    lines += [f"-I {chain} 1 {rule}" for chain, rule in wanted_jumps]
    return "\n".join([*lines, "COMMIT", ""])


def removal(listing: str, names: Iterable[str]) -> str:
    """Return the input of `iptables-restore --noflush` that leaves nothing of these chains."""
    present = [chain for chain in names if f"-N {chain}" in listing.splitlines()]
    lines = ["*filter", *_jumps_away(listing, present)]
    lines += [f"-F {chain}" for chain in present]
    lines += [f"-X {chain}" for chain in present]
    return "\n".join([*lines, "COMMIT", ""])


def _forward(allowed: Allowed) -> Iterator[str]:
    """Yield what concerns all but this machine itself.

    A connection to a published port is forwarded to its container: `ctorigdst` is what the bot asked for.
    """
    yield from (f"{match} -j RETURN" for match in _to_resolvers(allowed.resolvers))
    known = [*allowed.proxies, *(target for target in allowed.targets or () if target.is_one_address)]
    for target in dict.fromkeys(known):
        port = "" if target.port is None else f" --ctorigdstport {target.port}"
        protocol = "" if target.port is None else "-p tcp "
        yield f"{protocol}-m conntrack --ctorigdst {target.network}{port} -j RETURN"
    yield from (f"-d {network} {REFUSE}" for network in METADATA)
    yield f"-m conntrack --ctstate DNAT {REFUSE}"
    if allowed.targets is None:
        return
    for target in allowed.targets:
        if not target.is_one_address:
            yield f"{_destination(target)} -j RETURN"
    yield REFUSE


def _input(allowed: Allowed) -> Iterator[str]:
    """Yield what concerns this machine's own services."""
    yield from (f"{match} -j RETURN" for match in _to_resolvers(allowed.resolvers))
    known = [*allowed.proxies, *(target for target in allowed.targets or () if target.is_one_address)]
    yield from (f"{_destination(target)} -j RETURN" for target in dict.fromkeys(known))
    yield REFUSE


def _to_resolvers(resolvers: Iterable[str]) -> Iterator[str]:
    for address in resolvers:
        for protocol in ("udp", "tcp"):
            yield f"-d {address}/32 -p {protocol} -m {protocol} --dport 53"


def _destination(target: Target) -> str:
    return f"-d {target.network}" + ("" if target.port is None else f" -p tcp -m tcp --dport {target.port}")


def _jumps_away(listing: str, ours: Iterable[str]) -> list[str]:
    names = set(ours)
    jumps = [match for match in map(JUMP.fullmatch, listing.splitlines()) if match and match[3] in names]
    return [f"-D {match[1]} {match[2]}" for match in jumps]


def _comment(rule: str) -> str:
    match = re.search(r'--comment "[^"]*"', rule)
    return match[0] if match else ""
