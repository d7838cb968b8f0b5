"""Remember which firewall rules a fleet has, and where its proxies are: `state/egress.json`.

A proxy's name may have other addresses with each answer, of which bots use an earlier one for as long as they
like. So an address stays exempt for a day after it was last in an answer.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from types import MappingProxyType
from typing import Any

from manager.config.fleet import Fleet
from manager.errors import writing_to
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership, strict_json
from manager.util.trusted_folder import unlink_in_trusted

KEEP_S = 24 * 3600.0
"""How long an address that is in no answer any more stays exempt."""
NOTE_AGAIN_S = 3600.0
"""How old the note of an address gets before it is written anew: the file is not written every minute."""
RESOLVE_S = 6.0
"""For all names together: `watch` waits meanwhile. One name server that is down costs the resolver 5 s."""
CHAIN = re.compile(r"BOTFLEET-[FI]-[0-9a-f]{10}")

Hosts = Mapping[str, Mapping[str, float]]
"""Host → its addresses → when it was last known to have them."""


class Record(NamedTuple):
    """Hold the chains that this fleet has set, and where its proxies were.

    The chains' names depend on the fleet's, which may be another one by now.
    """

    hosts: Hosts = MappingProxyType({})
    chains: frozenset[str] = frozenset()
    has_ipv6: bool = False
    """Whether there may be rules of ip6tables, too."""


NONE = Record()


def load(fleet: Fleet) -> Record:
    """Return what is recorded, as far as it is readable.

    The chains of a copied folder are those of the fleet it was copied from. What root gives to the firewall
    is looked at first: other users may write the file.
    """
    try:
        content: Any = strict_json.read(fleet.egress_file)
        hosts = {str(host): _addresses(addresses) for host, addresses in content["hosts"].items()}
        is_ours = content.get("folder") == str(fleet.state_dir)
        chains = frozenset(filter(CHAIN.fullmatch, map(str, content.get("chains", ())))) if is_ours else ()
        return Record(hosts, frozenset(chains), is_ours and content.get("ipv6") is True)
    except (strict_json.JsonFault, ValueError, TypeError, KeyError, AttributeError, OSError):
        return NONE


def save(fleet: Fleet, record: Record) -> None:
    """Note that there are rules to remove one day. Raises ManagerError: else they would stay for ever."""
    with writing_to(fleet.egress_file):
        ownership.make_folder(fleet.state_dir)
        atomic_file.write_atomically(
            fleet.egress_file,
            {
                "folder": str(fleet.state_dir),
                "chains": sorted(record.chains),
                **({"ipv6": True} if record.has_ipv6 else {}),
                "hosts": {host: dict(seen) for host, seen in record.hosts.items()},
            },
        )
        ownership.give_to_folder_owner(fleet.egress_file)


def forget(fleet: Fleet) -> None:
    """Remove the file, once there are no rules. Raises nothing."""
    with suppress(OSError):
        unlink_in_trusted(fleet.egress_file)


def is_worth_noting(before: Hosts, after: Hosts) -> bool:
    """Return whether addresses have come or gone, or were noted long ago, so that they would be dropped."""
    return any(
        addresses.keys() != before.get(host, {}).keys()
        or any(at - before[host][address] > NOTE_AGAIN_S for address, at in addresses.items())
        for host, addresses in after.items()
    )


def located(hosts: Collection[str], known: Hosts) -> dict[str, dict[str, float]]:
    """Return where these hosts are now, and were within a day. One that cannot be resolved is where it
    was.
    """
    now, answers = time.time(), resolved(hosts)
    by_host: dict[str, dict[str, float]] = {}
    for host in hosts:
        earlier, answer = known.get(host, {}), answers.get(host, ())
        recent = {address: min(at, now) for address, at in earlier.items() if not answer or now - at < KEEP_S}
        by_host[host] = recent | dict.fromkeys(answer, now)
    return by_host


def resolved(hosts: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return host → addresses, of those whose answers are there in time.

    The system's resolver has a time limit of its own, which may be minutes, and cannot be interrupted: a
    thread that it holds up is left behind.
    """
    answers: SimpleQueue[tuple[str, tuple[str, ...]]] = SimpleQueue()
    for host in hosts:
        Thread(target=lambda host=host: answers.put((host, _resolved(host))), daemon=True).start()
    by_host: dict[str, tuple[str, ...]] = {}
    until = time.monotonic() + RESOLVE_S
    with suppress(Empty):
        while len(by_host) < len(hosts):
            host, addresses = answers.get(timeout=max(until - time.monotonic(), 0.001))
            by_host[host] = addresses
    return by_host


def outer(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 addresses among these that mean the same in a container."""
    return tuple(sorted({address for address in addresses if is_outer(address)}))


def is_outer(address: str) -> bool:
    """Return whether it is an IPv4 address that means the same in a container."""
    try:
        return not ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False


def _resolved(host: str) -> tuple[str, ...]:
    try:
        answers = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return outer(str(entry[4][0]) for entry in answers)


def _addresses(raw: Any) -> dict[str, float]:
    """Return address → when it was known. A list is of a manager that did not note when."""
    noted = raw if isinstance(raw, dict) else dict.fromkeys(raw, 0.0)
    return {address: float(noted[address]) for address in outer(noted)}
