"""Boot a root file system in namespaces of its own, run commands in it, and take it away without a trace.

Its pid 1 ends with its stdin, which this process holds: however this process ends, the kernel ends all that
runs on the machine, and with the last process go its mounts and its network. What can stay behind is swept at
the next start.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

HERE = Path(__file__).resolve().parent
MARK = "botfleet-fresh"
"""The comment of our firewall rules and the name of our control groups."""
CGROUPS = Path("/sys/fs/cgroup")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
NETWORKS = ipaddress.ip_network("198.18.0.0/20")  # set aside for tests of networks; nobody's real address
ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
USER, USER_ID = "pat", 1000


class Machine:
    """Hold a running fresh machine. Use it in a `with`."""

    def __init__(self, root: Path, binds: Mapping[Path, tuple[str, str]], environ: Mapping[str, str]) -> None:
        self._root, self._binds, self._environ = root, binds, environ
        self._pid = 0

    def __enter__(self) -> Machine:
        list_of_binds = self._root.with_name("binds")
        list_of_binds.write_text(
            "".join(f"{source}\t{target}\t{mode}\n" for source, (target, mode) in self._binds.items())
        )
        groups = _make_cgroups()
        self._procs = [str(group / "cgroup.procs") for group in groups]
        unshare = [
            "unshare",
            "--mount",
            "--propagation=private",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "--kill-child",
        ]
        self._init = subprocess.Popen(
            [*_in_groups(self._procs), *unshare, str(HERE / "init.sh"), str(self._root), str(list_of_binds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert self._init.stdout is not None
            word, _space, pid = self._init.stdout.readline().partition(" ")
            if word != "ready":
                raise RuntimeError("the fresh machine does not boot; see above")
            self._pid = int(pid)
            if _is_unified():
                self._procs = [str(groups[0] / "init/cgroup.procs")]
                Path(self._procs[0]).write_text(str(self._init.pid))
            _connect(self._pid)
        except BaseException:
            self._power_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._power_off()

    def run(
        self,
        *command: str,
        folder: str = "/",
        user: bool = False,
        login: bool = True,
        output: int | IO[bytes] = subprocess.PIPE,
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command as root, or as the sudo user.

        Without `login` that user has the groups of a shell opened before `make up`.
        """
        home, path = (f"/home/{USER}", USER_PATH) if user else ("/root", ROOT_PATH)
        name, number = (USER, str(USER_ID)) if user else ("root", "0")
        groups = "--init-groups" if login else f"--groups={number}"
        environ = {
            "HOME": home,
            "USER": name,
            "LOGNAME": name,
            "PATH": path,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }
        arguments = [
            *_in_groups(self._procs),
            "nsenter",
            f"--target={self._pid}",
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "--root",
            "--wd",
            "setpriv",
            f"--reuid={number}",
            f"--regid={number}",
            groups,
            "env",
            "-i",
            *(f"{key}={value}" for key, value in (environ | dict(self._environ)).items()),
            "bash",
            "-c",
            'cd "$1" && shift && exec "$@"',
            "bash",
            folder,
            *command,
        ]
        stderr = subprocess.STDOUT if output is not subprocess.PIPE else subprocess.PIPE
        return subprocess.run(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=stderr, timeout=timeout, check=False
        )

    def _power_off(self) -> None:
        assert self._init.stdin is not None
        with contextlib.suppress(OSError):
            self._init.stdin.close()
        try:
            self._init.wait(30)
        except subprocess.TimeoutExpired:
            self._init.kill()
            self._init.wait()
        sweep()


def sweep() -> None:
    """Remove what a machine leaves behind outside its namespaces: firewall rules and control groups."""
    for table, chain in (("filter", "FORWARD"), ("nat", "POSTROUTING")):
        for rule in _output("iptables", "-w", "-t", table, "-S", chain).splitlines():
            if MARK in rule:
                _call("iptables", "-w", "-t", table, *shlex.split(rule.replace("-A", "-D", 1)))
    for group in [point / MARK for point in _hierarchies()]:
        deadline = time.monotonic() + 10
        while group.is_dir():
            for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)


def _connect(pid: int) -> None:
    """Lay a cable between this machine and the fresh one, and let it out through this one's addresses."""
    network = _free_network()
    ours, theirs = (f"{address}/{network.prefixlen}" for address in network.hosts())
    outer, inner = f"bff{pid}", "eth0"
    mtu = _mtu()
    inside = ["nsenter", f"--target={pid}", "--net", "ip"]
    _call(
        "ip",
        "link",
        "add",
        outer,
        "mtu",
        mtu,
        "type",
        "veth",
        "peer",
        "name",
        inner,
        "mtu",
        mtu,
        "netns",
        str(pid),
    )
    _call("ip", "address", "add", ours, "dev", outer)
    _call("ip", "link", "set", outer, "up")
    _call(*inside, "link", "set", "lo", "up")
    _call(*inside, "address", "add", theirs, "dev", inner)
    _call(*inside, "link", "set", inner, "up")
    _call(*inside, "route", "add", "default", "via", ours.split("/")[0])
    if FORWARDING.read_text().strip() != "1":
        print("switching on net.ipv4.ip_forward; it stays on", flush=True)
        FORWARDING.write_text("1")
    comment = ["-m", "comment", "--comment", MARK]
    _call("iptables", "-w", "-I", "FORWARD", "-i", outer, *comment, "-j", "ACCEPT")
    _call("iptables", "-w", "-I", "FORWARD", "-o", outer, *comment, "-j", "ACCEPT")
    _call(
        "iptables",
        "-w",
        "-t",
        "nat",
        "-A",
        "POSTROUTING",
        "-s",
        str(network),
        "!",
        "-o",
        outer,
        *comment,
        "-j",
        "MASQUERADE",
    )


def _free_network() -> ipaddress.IPv4Network:
    taken = [
        ipaddress.ip_interface(address["local"]).ip
        for link in json.loads(_output("ip", "-json", "-4", "address"))
        for address in link["addr_info"]
    ]
    networks = (
        network for network in NETWORKS.subnets(new_prefix=30) if isinstance(network, ipaddress.IPv4Network)
    )
    return next(network for network in networks if not any(address in network for address in taken))


def _mtu() -> str:
    """Return the packet size of the way out: a larger one inside would stall downloads."""
    routes = json.loads(_output("ip", "-json", "-4", "route", "show", "default")) or [{"dev": "lo"}]
    return (
        Path("/sys/class/net", routes[0]["dev"], "mtu").read_text().strip()
        if routes[0]["dev"] != "lo"
        else "1500"
    )


def _is_unified() -> bool:
    return (CGROUPS / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    """Return where each tree of control groups is mounted."""
    if _is_unified():
        return [CGROUPS]
    points = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return [
        Path(point)
        for point, kind in points
        if kind in ("cgroup", "cgroup2") and Path(point).parent == CGROUPS
    ]


def _make_cgroups() -> list[Path]:
    """Make a control group for the machine in every hierarchy."""
    groups = []
    for point in _hierarchies():
        group = point / MARK
        if _is_unified():
            for controller in (point / "cgroup.controllers").read_text().split():
                with contextlib.suppress(
                    OSError
                ):  # some cannot be had by groups; the row's engine says what it misses
                    (point / "cgroup.subtree_control").write_text(f"+{controller}")
            (group / "init").mkdir(parents=True)
        else:
            group.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (group / name).exists() and not _is_unified():
                (group / name).write_text((point / name).read_text())
        groups.append(group)
    return groups


def _in_groups(files: Sequence[str]) -> list[str]:
    """Return the words before a command that put it into control groups."""
    return [
        "sh",
        "-c",
        'until [ "$1" = -- ]; do echo 0 >"$1"; shift; done; shift; exec "$@"',
        "sh",
        *files,
        "--",
    ]


def _call(*command: str) -> None:
    subprocess.run(command, check=True)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
