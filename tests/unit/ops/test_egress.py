"""Firewall rules are set, looked at and removed: on a firewall and an engine in memory."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from manager.engine import egress_rules
from manager.engine.client import Engine
from manager.errors import ManagerError
from manager.fleet.project import Project
from manager.ops.egress import egress, egress_record
from tests.builders import a_container, a_fleet

BRIDGE = "br-0123456789ab"


class Firewall:
    """What iptables -S and iptables-restore do, as far as whole lines go."""

    def __init__(self, by_ipv6: Firewall | None = None) -> None:
        self.by_ipv6 = by_ipv6
        self.lines = [
            "-P INPUT ACCEPT",
            "-P FORWARD DROP",
            "-N DOCKER-USER",
            "-A FORWARD -j DOCKER-USER",
            "-A DOCKER-USER -j RETURN",
        ]
        self.writes = 0

    def __call__(self, words: list[str], text: str) -> str:
        if self.by_ipv6 is not None and words[0].startswith("ip6"):
            return self.by_ipv6([words[0].replace("ip6", "ip"), *words[1:]], text)
        if words == ["iptables", "-S"]:
            return "\n".join(self.lines)
        assert words == ["iptables-restore", "--noflush"]
        self.writes += 1
        for line in text.splitlines():
            verb, _blank, rest = line.partition(" ")
            if verb.startswith(":"):
                self.lines = [line for line in self.lines if not line.startswith(f"-A {verb[1:]} ")]
                self.lines += [chain for chain in (f"-N {verb[1:]}",) if chain not in self.lines]
            elif verb == "-A":
                self.lines.append(line)
            elif verb == "-I":
                chain, _one, rule = rest.split(" ", 2)
                starts = [at for at, line in enumerate(self.lines) if line.startswith(f"-A {chain} ")]
                self.lines.insert(starts[0] if starts else len(self.lines), f"-A {chain} {rule}")
            elif verb == "-D":
                self.lines.remove(f"-A {rest}")
            elif verb == "-F":
                self.lines = [line for line in self.lines if not line.startswith(f"-A {rest} ")]
            elif verb == "-X":
                self.lines.remove(f"-N {rest}")
        return ""


@pytest.fixture(autouse=True)
def _interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, BRIDGE), (3, "br-aaaaaaaaaaaa")])
    monkeypatch.setattr(egress, "resolvers", lambda: ("9.9.9.9",))


def engine(network_id: str = "0123456789abcdef", *, has_ipv6: bool = False) -> Engine:
    network: dict[str, Any] = {
        "Id": network_id,
        "Name": "desk_default",
        "Options": {},
        "EnableIPv6": has_ipv6,
    }
    network = network if network_id else {}
    return cast(Engine, SimpleNamespace(network=lambda _name: network))


def project(folder: Path, chosen: Any, variables: dict[str, str] | None = None) -> Project:
    fleet = a_fleet(data_dir=folder, project_dir=folder, egress=chosen)
    return cast(Project, SimpleNamespace(fleet=fleet, variables=variables or {}))


def test_rules_are_set_once_follow_the_network_and_go_when_switched_off(tmp_path: Path) -> None:
    firewall = Firewall()
    before = list(firewall.lines)
    on, off = project(tmp_path, True), project(tmp_path, False)
    assert not egress.settle(engine(), off, firewall)
    assert firewall.writes == 0
    assert not egress.look(engine(), on, firewall).is_in_force
    assert egress.settle(engine(), on, firewall)
    assert egress.look(engine(), on, firewall).is_in_force
    assert not egress.settle(engine(), on, firewall), "nothing to do"
    assert egress.settle(engine("a" * 64), on, firewall), "another network of the same name"
    assert BRIDGE not in "".join(firewall.lines)
    assert egress.settle(engine(), off, firewall)
    assert firewall.lines == before
    assert not egress.settle(engine(), off, firewall)


@pytest.mark.parametrize(
    "rule",
    [
        "-A DOCKER-USER -s 192.168.0.0/16 -j ACCEPT",
        "-A DOCKER-USER -j RETURN",
        '-A INPUT -p tcp -m comment --comment "a -j DROP" -j ACCEPT',
        "-A INPUT -j desk-rules",
        "-A FORWARD -i br-+ -j ACCEPT",
        "-A FORWARD -g desk-rules",
    ],
)
def test_a_rule_in_front_of_ours_is_named_and_ours_are_put_in_front_again(tmp_path: Path, rule: str) -> None:
    firewall, on = Firewall(), project(tmp_path, True)
    firewall.lines += ["-N desk-rules", "-A desk-rules -i lo -j DROP", "-A desk-rules -p udp -j ACCEPT"]
    assert egress.settle(engine(), on, firewall)
    assert egress.look(engine(), on, firewall).is_in_force
    firewall.lines.insert(0, rule)
    look = egress.look(engine(), on, firewall)
    assert not look.is_in_force
    assert str(look.why) == (
        "another rule of the firewall lets traffic pass before they are asked: " + rule.removeprefix("-A ")
    )
    assert egress.settle(engine(), on, firewall)
    assert egress.look(engine(), on, firewall).is_in_force
    assert not egress.settle(engine(), on, firewall), "nothing to do"
    firewall.lines.remove(rule)
    assert egress.settle(engine(), on, firewall) == (" FORWARD " in rule), "back into the engine's chain"
    assert egress.look(engine(), on, firewall).is_in_force


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A DOCKER-USER -i br-aaaaaaaaaaaa -j RETURN",
        f"-A DOCKER-USER ! -i {BRIDGE} -j ACCEPT",
        "-A FORWARD -p tcp -j LOG",
        "-A FORWARD -j DROP",
    ],
)
def test_a_rule_that_lets_nothing_of_the_bots_pass_is_left_in_front(tmp_path: Path, rule: str) -> None:
    firewall, on = Firewall(), project(tmp_path, True)
    firewall.lines += ["-N f2b-sshd", "-A f2b-sshd -s 203.0.113.9 -j REJECT", "-A f2b-sshd -j RETURN"]
    assert egress.settle(engine(), on, firewall)
    firewall.lines.insert(0, rule)
    assert egress.look(engine(), on, firewall).is_in_force
    assert not egress.settle(engine(), on, firewall)


def test_a_firewall_that_is_loaded_anew_without_the_engines_chain_is_noticed(tmp_path: Path) -> None:
    """`iptables -F FORWARD` leaves our rules where nothing asks them."""
    firewall, on = Firewall(), project(tmp_path, True)
    assert egress.settle(engine(), on, firewall)
    firewall.lines.remove("-A FORWARD -j DOCKER-USER")
    assert not egress.look(engine(), on, firewall).is_in_force
    assert egress.settle(engine(), on, firewall)
    assert egress.look(engine(), on, firewall).is_in_force
    assert any(line.startswith(f"-A FORWARD -i {BRIDGE} ") for line in firewall.lines)


@pytest.mark.parametrize("has_chain", [True, False])
@pytest.mark.parametrize("chosen", [True, ("203.0.113.7",)])
def test_a_network_with_ipv6_is_limited_there_too(tmp_path: Path, has_chain: bool, chosen: Any) -> None:
    """Not every engine keeps DOCKER-USER in ip6tables: there the jump is in FORWARD itself."""
    six = Firewall()
    if not has_chain:
        six.lines = ["-P INPUT ACCEPT", "-P FORWARD ACCEPT"]
    firewall, on, off = Firewall(six), project(tmp_path, chosen), project(tmp_path, False)
    before = [*firewall.lines], [*six.lines]
    there = engine(has_ipv6=True)
    assert egress.settle(there, on, firewall)
    assert egress.look(there, on, firewall).is_in_force
    jump = f"-A {'DOCKER-USER' if has_chain else 'FORWARD'} -i {BRIDGE} "
    assert [line.startswith(jump) for line in six.lines].count(True) == 1
    refusals = [line for line in six.lines if "REJECT" in line]
    assert any(
        "-d fd00:ec2::254/128 -j REJECT --reject-with icmp6-adm-prohibited" in line for line in refusals
    )
    assert sum(" -d " not in line and "DNAT" not in line for line in refusals) == (1 if chosen is True else 2)
    assert not egress.settle(there, on, firewall), "nothing to do"
    six.lines = [*before[1]]
    assert not egress.look(there, on, firewall).is_in_force
    assert egress.settle(there, on, firewall)
    assert egress.settle(engine(), on, firewall), "the network was made anew, without IPv6"
    assert six.lines == before[1]
    assert egress.settle(there, on, firewall)
    assert egress.settle(there, off, firewall)
    assert (firewall.lines, six.lines) == before
    assert not egress.settle(there, off, firewall)


def test_where_ipv6_cannot_be_limited_nothing_is_started(tmp_path: Path) -> None:
    def run(words: list[str], text: str) -> str:
        if words[0].startswith("ip6"):
            raise egress.FirewallFault("{program} is not installed", program=words[0])
        return Firewall()(words, text)

    with pytest.raises(ManagerError, match="ip6tables is not installed; run the command as root"):
        egress.settle(engine(has_ipv6=True), project(tmp_path, True), run)


def test_without_a_network_nothing_is_set_and_what_was_is_removed(tmp_path: Path) -> None:
    firewall = Firewall()
    before = list(firewall.lines)
    on = project(tmp_path, ("203.0.113.7",))
    assert not egress.settle(engine(""), on, firewall)
    egress.settle(engine(), on, firewall)
    assert egress.settle(engine(""), on, firewall)
    assert firewall.lines == before


def test_a_proxy_whose_name_is_not_resolved_for_a_while_stays_exempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firewall = Firewall()
    addresses = {"proxy.example": ["10.0.0.9", "127.0.0.1"]}

    def resolve(host: str, *_rest: object) -> list[Any]:
        if host not in addresses:
            raise OSError
        return [(0, 0, 0, "", (address, 0)) for address in addresses[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    here = project(tmp_path, True, {"HTTPS_PROXY": "http://me:secret@proxy.example:3128"})
    assert egress.settle(engine(), here, firewall)
    assert "--ctorigdst 10.0.0.9/32 --ctorigdstport 3128" in "".join(firewall.lines)
    assert "127.0.0.1" not in "".join(firewall.lines)
    addresses.clear()
    assert not egress.settle(engine(), here, firewall)
    assert "secret" not in here.fleet.egress_file.read_text()


@pytest.mark.parametrize(("hours", "is_kept"), [(0, True), (23, True), (25, False)])
def test_an_address_of_a_proxy_stays_exempt_for_a_day_after_the_last_answer_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float, is_kept: bool
) -> None:
    firewall, clock = Firewall(), [1_800_000_000.0]
    answer = ["10.0.0.9"]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_any: [(0, 0, 0, "", (address, 0)) for address in answer]
    )
    monkeypatch.setattr(time, "time", lambda: clock[0])
    here = project(tmp_path, True, {"HTTPS_PROXY": "http://proxy.example:3128"})
    assert egress.settle(engine(), here, firewall)
    clock[0] += 20 * 3600
    assert not egress.settle(engine(), here, firewall), "seen again, which is noted"
    answer[:] = ["10.0.0.10"]
    clock[0] += hours * 3600
    assert egress.look(engine(), here, firewall).is_in_force, "as they were set"
    assert egress.settle(engine(), here, firewall)
    assert "10.0.0.10/32" in "".join(firewall.lines)
    assert ("10.0.0.9/32" in "".join(firewall.lines)) is is_kept
    assert not egress.settle(engine(), here, firewall), "in force"
    assert egress.look(engine(), here, firewall).is_in_force


def test_name_servers_that_do_not_answer_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def resolve(host: str, *_rest: object) -> list[Any]:
        if host == "slow.example":
            over.wait(60)
        return [(0, 0, 0, "", ("10.0.0.9", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(egress_record, "RESOLVE_S", 0.2)
    began = time.monotonic()
    known = {"slow.example": {"10.0.0.1": 0.0}}
    located = egress_record.located(("slow.example", "quick.example"), known)
    assert time.monotonic() - began < 30
    over.set()
    assert {host: list(rules) for host, rules in located.items()} == {
        "slow.example": ["10.0.0.1"],
        "quick.example": ["10.0.0.9"],
    }


def renamed(project_: Project, name: str, chosen: Any) -> Project:
    fleet = project_.fleet._replace(name=name, egress=chosen)
    return cast(Project, SimpleNamespace(fleet=fleet, variables={}))


def test_the_rules_of_a_renamed_fleet_go_with_its_network_or_when_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firewall = Firewall()
    before = list(firewall.lines)
    first = project(tmp_path, True)
    egress.settle(engine(), first, firewall)
    old = egress_rules.chains(first.fleet.name)

    second = renamed(first, "renamed", True)
    assert egress.settle(engine("a" * 64), second, firewall)
    assert egress_rules.has_any(firewall(["iptables", "-S"], ""), old), "its old containers may still run"
    assert egress.settle(engine("a" * 64), renamed(first, "renamed", False), firewall)
    assert firewall.lines == before

    egress.settle(engine(), first, firewall)
    egress.settle(engine("a" * 64), second, firewall)
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(3, "br-aaaaaaaaaaaa")])
    assert egress.settle(engine("a" * 64), second, firewall)
    assert not egress_rules.has_any(firewall(["iptables", "-S"], ""), old)
    assert egress.look(engine("a" * 64), second, firewall).is_in_force
    assert not egress.settle(engine("a" * 64), second, firewall)
    assert egress.settle(engine(""), second, firewall)
    assert firewall.lines == before
    assert not first.fleet.egress_file.exists()


def test_a_renamed_copy_of_a_folder_leaves_the_rules_of_the_original(tmp_path: Path) -> None:
    firewall = Firewall()
    (tmp_path / "one").mkdir()
    first = project(tmp_path / "one", True)
    egress.settle(engine(), first, firewall)
    set_by_first = list(firewall.lines)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    copy = renamed(project(tmp_path / "two", True), "copy", False)
    assert copy.fleet.egress_file.exists()
    egress.settle(engine("a" * 64), copy, firewall)
    assert firewall.lines == set_by_first


def test_a_record_cannot_smuggle_anything_into_the_firewall(tmp_path: Path) -> None:
    fleet = project(tmp_path, True).fleet
    fleet.state_dir.mkdir(parents=True)
    content: dict[str, object] = {
        "folder": str(fleet.state_dir),
        "chains": ["INPUT", "BOTFLEET-F-0123456789\n-F INPUT"],
    }
    content |= {"hosts": {"a": {"10.0.0.1": 5, "0.0.0.0/0 -j ACCEPT": 5}, "b": ["10.0.0.2", "x"]}}
    fleet.egress_file.write_text(json.dumps(content))
    record = egress_record.load(fleet)
    assert record == egress_record.Record({"a": {"10.0.0.1": 5.0}, "b": {"10.0.0.2": 0.0}})


def refuse(words: list[str], _text: str) -> str:
    raise egress.FirewallFault("{program}: {why}", program=words[0], why="a password is required")


def test_what_a_firewall_that_refuses_means_is_said_with_what_to_do(tmp_path: Path) -> None:
    on, off = project(tmp_path, True), project(tmp_path, False)
    with pytest.raises(ManagerError, match="a password is required; run the command as root, or set"):
        egress.settle(engine(), on, refuse)
    egress.settle(engine(), on, Firewall())
    with pytest.raises(ManagerError, match=r"remain, .* as root once, which removes them"):
        egress.settle(engine(), off, refuse)
    assert off.fleet.egress_file.exists()


def test_an_engine_elsewhere_or_without_its_chain_is_an_error_and_nothing_is_changed(tmp_path: Path) -> None:
    on = project(tmp_path, True)
    firewall = Firewall()
    with pytest.raises(ManagerError, match="is not on this machine"):
        egress.settle(engine("f" * 64), on, firewall)
    firewall.lines.remove("-N DOCKER-USER")
    with pytest.raises(ManagerError, match="keeps no chain DOCKER-USER"):
        egress.settle(engine(), on, firewall)
    assert firewall.writes == 0
    assert not on.fleet.egress_file.exists()
    assert "is not on this machine" in str(egress.look(engine("f" * 64), on, firewall).why)


def test_resolvers_on_loopback_are_not_those_that_containers_ask(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.write_text("# a\nnameserver 127.0.0.53\nnameserver ::1\nsearch x\n")
    second.write_text("nameserver 192.0.2.1\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver\n")
    monkeypatched = egress_rules.Allowed(resolvers=("192.0.2.1",))
    assert RESOLVERS((first, second, tmp_path / "none")) == monkeypatched.resolvers


RESOLVERS = egress.resolvers


def test_a_bot_that_somebody_connects_to_another_network_is_named() -> None:
    """Its traffic takes another way, past all rules: they were said to be in force."""
    fleet = a_fleet(egress=True)
    own = a_container()._replace(networks={fleet.network: "1"})
    both = own._replace(networks={fleet.network: "1", "elsewhere": "2"})
    assert str(egress.uncovered(fleet, [own, both])) == (
        "bp_sol_01 is in the network elsewhere too, to which the rules do not apply; run `docker network"
        f" disconnect elsewhere {both.name}`"
    )
    assert egress.uncovered(fleet, [own]) is None
    assert egress.uncovered(fleet, [own._replace(networks=None)]) is None
    assert egress.uncovered(fleet, [both._replace(engine_state="exited")]) is None
    assert egress.uncovered(a_fleet(egress=False), [both]) is None
