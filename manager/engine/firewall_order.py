"""Determine whether a rule of somebody else lets traffic pass before ours are asked. Pure.

A listing is what `iptables -S` prints. What cannot be told counts as letting pass.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

ANSWERS = frozenset({"RELATED", "ESTABLISHED"})
"""Connections that were let through before: ours let them pass too."""
HARMLESS = frozenset(
    {"DROP", "REJECT", "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "SET", "TRACE", "CT", "AUDIT"}
)
MAX_DEPTH = 32


def passing_before(listing: str, interface: str, chain: str, ours: str) -> str | None:
    """Return the first rule of a chain that may end the way of traffic from an interface before a rule of
    ours; also `ours` itself, if it is not there.
    """
    rules = _rules(listing)
    for rule in rules.get(chain, ()):
        if rule == ours:
            return None
        if _concerns(rule, interface) and _may_end(rule, rules, interface, leaves=True):
            return rule
    return ours


def _rules(listing: str) -> dict[str, list[str]]:
    """Return chain → its rules, as the listing has them after the chain's name."""
    rules: dict[str, list[str]] = {}
    for line in listing.splitlines():
        verb, _blank, rest = line.partition(" ")
        if verb == "-N":
            rules.setdefault(rest, [])
        elif verb == "-A":
            chain, _blank, rule = rest.partition(" ")
            rules.setdefault(chain, []).append(rule)
    return rules


def _may_end(
    rule: str, rules: dict[str, list[str]], interface: str, *, leaves: bool, depth: int = MAX_DEPTH
) -> bool:
    """Return whether a rule may let a packet pass for good. `leaves`: so does RETURN, as in a base chain."""
    words = _words(rule)
    target = _value(words, ("-j", "--jump", "-g", "--goto"))
    if target is None or target in HARMLESS:
        return False
    if target == "RETURN":
        return leaves
    if target not in rules:  # ACCEPT, NFQUEUE and the like
        return True
    if {"-g", "--goto"} & set(words) and leaves:
        return True  # it comes back to nobody
    return depth == 0 or any(
        _concerns(inner, interface) and _may_end(inner, rules, interface, leaves=False, depth=depth - 1)
        for inner in rules[target]
    )


def _concerns(rule: str, interface: str) -> bool:
    """Return whether a rule may apply to new connections from this interface."""
    words = _words(rule)
    for at, word in enumerate(words[:-1]):
        is_not = at > 0 and words[at - 1] == "!"
        if word in ("-i", "--in-interface") and _is_same(words[at + 1], interface) == is_not:
            return False
        if word in ("--ctstate", "--state") and not is_not and set(words[at + 1].split(",")) <= ANSWERS:
            return False
    return True


def _is_same(pattern: str, interface: str) -> bool:
    return interface.startswith(pattern[:-1]) if pattern.endswith("+") else pattern == interface


def _value(words: list[str], options: Iterable[str]) -> str | None:
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in options), None)


def _words(rule: str) -> list[str]:
    try:
        return shlex.split(rule)
    except ValueError:
        return ["-j", "ACCEPT"]
