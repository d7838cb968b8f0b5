"""The firewall rules of a fleet's egress: what they refuse, and that fleets do not disturb each other."""

from __future__ import annotations

import pytest

from manager.engine import egress_rules
from manager.engine.egress_rules import Allowed, Target, parse_target

NAMES = egress_rules.chains("desk")
JUMPS = egress_rules.jumps(NAMES, "br-0123456789ab", "desk")


def bodies(allowed: Allowed) -> tuple[list[str], list[str]]:
    made = egress_rules.rules(NAMES, "desk", allowed)
    assert all(
        entries[0].endswith("-j RETURN") and "botfleet desk" in entries[0] for entries in made.values()
    )
    return tuple(  # type: ignore[return-value]
        [entry.removeprefix(f"-A {chain} ") for entry in entries[1:]] for chain, entries in made.items()
    )


def test_by_default_only_this_machine_and_metadata_are_refused() -> None:
    forward, inward = bodies(Allowed())
    refuse = egress_rules.REFUSE
    assert forward == [
        *(f"-d {network} {refuse}" for network in egress_rules.METADATA),
        f"-m conntrack --ctstate DNAT {refuse}",
    ]
    assert inward == [refuse]


def test_resolvers_and_proxies_pass_before_anything_is_refused() -> None:
    allowed = Allowed(("169.254.169.254",), (Target("172.17.0.1/32", 3128),))
    forward, inward = bodies(allowed)
    assert forward[:3] == [
        "-d 169.254.169.254/32 -p udp -m udp --dport 53 -j RETURN",
        "-d 169.254.169.254/32 -p tcp -m tcp --dport 53 -j RETURN",
        "-p tcp -m conntrack --ctorigdst 172.17.0.1/32 --ctorigdstport 3128 -j RETURN",
    ]
    assert inward[2:] == ["-d 172.17.0.1/32 -p tcp -m tcp --dport 3128 -j RETURN", egress_rules.REFUSE]


def test_a_list_ends_with_a_refusal_and_a_network_in_it_opens_nothing_of_this_machine() -> None:
    targets = tuple(map(parse_target, ("203.0.113.7:443", "0.0.0.0/0:443")))
    forward, inward = bodies(Allowed(targets=targets))
    assert forward[0] == "-p tcp -m conntrack --ctorigdst 203.0.113.7/32 --ctorigdstport 443 -j RETURN"
    assert forward[-2:] == ["-d 0.0.0.0/0 -p tcp -m tcp --dport 443 -j RETURN", egress_rules.REFUSE]
    assert inward == ["-d 203.0.113.7/32 -p tcp -m tcp --dport 443 -j RETURN", egress_rules.REFUSE]


def listing(allowed: Allowed, name: str = "desk", interface: str = "br-0123456789ab") -> str:
    """What `iptables -S` prints with the rules of a fleet in force."""
    names = egress_rules.chains(name)
    made = egress_rules.rules(names, name, allowed)
    lines = [f"-N {chain}" for chain in (*names, "DOCKER-USER")]
    lines += [f"-A {chain} {rule}" for chain, rule in egress_rules.jumps(names, interface, name)]
    lines += ["-A DOCKER-USER -j RETURN", *(entry for entries in made.values() for entry in entries)]
    return "\n".join(lines)


def test_what_is_in_force_is_recognised_and_every_change_is_noticed() -> None:
    wanted = egress_rules.rules(NAMES, "desk", Allowed())
    present = listing(Allowed())
    assert egress_rules.is_in_force(present, wanted, JUMPS)
    assert egress_rules.is_in_force(f"{present}\n{listing(Allowed(), 'other', 'br-other')}", wanted, JUMPS)
    other = egress_rules.rules(NAMES, "desk", Allowed(("9.9.9.9",)))
    assert not egress_rules.is_in_force(present, other, JUMPS), "another content"
    assert not egress_rules.is_in_force(present.replace("br-0123", "br-9999"), wanted, JUMPS), (
        "another bridge"
    )
    lines = present.splitlines()
    for line in lines:
        if line.startswith("-A") and line != "-A DOCKER-USER -j RETURN":
            without = "\n".join(other for other in lines if other != line)
            assert not egress_rules.is_in_force(without, wanted, JUMPS), line
    twice = present + "\n" + next(line for line in present.splitlines() if line.startswith("-A INPUT"))
    assert not egress_rules.is_in_force(twice, wanted, JUMPS)


def test_a_replacement_and_a_removal_touch_no_other_fleet() -> None:
    both = f"{listing(Allowed())}\n{listing(Allowed(), 'other', 'br-other')}"
    theirs = egress_rules.chains("other")
    wanted = egress_rules.rules(NAMES, "desk", Allowed(("9.9.9.9",)))
    for text in (egress_rules.replacement(both, wanted, JUMPS), egress_rules.removal(both, NAMES)):
        assert not any(chain in text for chain in theirs)
        assert text.startswith("*filter\n")
        assert text.endswith("\nCOMMIT\n")
        assert text.count("\n-D ") == 2, "the old jumps go"
    assert egress_rules.has_any(both, NAMES)
    assert not egress_rules.has_any(listing(Allowed(), "other"), NAMES)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("1.2.3.4", Target("1.2.3.4/32")),
        ("10.1.2.3/8", Target("10.0.0.0/8")),
        ("10.0.0.0/8:443", Target("10.0.0.0/8", 443)),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", "a.example", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "::1", "1.2.3.4:4 4"]
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        parse_target(text)


def test_proxies_are_found_in_variables_and_no_others() -> None:
    variables = {
        "HTTPS_PROXY": "http://me:pw@proxy.example:3128",
        "http_proxy": "10.0.0.9:8080",
        "ALL_PROXY": "socks5h://10.0.0.8",
        "BACKPACK_API_URL": "https://10.0.0.7/x",
        "NO_PROXY": "localhost,10.0.0.0/8",
        "no_proxy": "x",
        "BACKPACK_KEY": "http://10.9.9.9",
        "BAD_PROXY": "http://[::",
        "PORT_PROXY": "http://x:99999",
    }
    assert list(egress_rules.addresses_in(variables)) == [
        ("proxy.example", 3128),
        ("10.0.0.9", 8080),
        ("10.0.0.8", 1080),
        ("10.0.0.7", 443),
    ]
