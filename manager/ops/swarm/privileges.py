"""Ask each node whether the processes of its tasks can gain privileges, by what its kernel says of them.

No setting tells it: an engine does not say whether its daemon.json forbids it, and Swarm has no option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.ops.hosts.registry import Host
from manager.ops.hosts.ssh import CommandResult
from manager.ops.swarm import scripts
from manager.typed import NamedTuple

ASKING_S = 20.0
NEVER, MAY, UNKNOWN = "1", "0", "?"
"""What /proc/PID/status has as NoNewPrivs, and what is said where it cannot be read."""
ASK = """\
set -eu
docker info --format 'node {{.Swarm.NodeID}}'
docker ps --no-trunc --filter "label=com.docker.stack.namespace=$0" --filter label=botfleet.instance \\
  --format '{{.ID}} {{.Label "botfleet.instance"}}' | while read -r container instance; do
  pid=$(docker inspect --format '{{.State.Pid}}' "$container" 2>/dev/null) || continue
  said=
  if grep -q -e "$container" "/proc/$pid/cgroup" 2>/dev/null; then
    said=$(sed -n 's/^NoNewPrivs:[^0-9]*//p' "/proc/$pid/status" 2>/dev/null) || said=
  fi
  echo "task $instance ${said:-?}"
done
"""
"""A process whose cgroup is not the container's is another machine's: the engine is then not on this one."""


class NodePrivileges(NamedTuple):
    """Hold what a machine told. `tasks`: instance → NEVER, MAY or UNKNOWN. `why`: it told nothing."""

    machine: str
    node: str = ""
    tasks: Mapping[str, str] = MappingProxyType({})
    why: ManagerError | None = None


def ask(fleet: Fleet, hosts: Sequence[Host]) -> list[NodePrivileges]:
    """Ask this machine and all others at once. One that does not answer delays no other."""
    machines: list[Host | None] = [None, *hosts]
    with ThreadPoolExecutor(len(machines)) as pool:
        return list(pool.map(lambda host: _asked(fleet, host), machines))


def told(machine: str, text: str) -> NodePrivileges:
    """Return what a machine told. Pure."""
    lines = [line.split() for line in text.splitlines()]
    node = next((words[1] for words in lines if words[:1] == ["node"] and len(words) == 2), "")
    tasks = {words[1]: words[2] for words in lines if words[:1] == ["task"] and len(words) == 3}
    known = {name: answer if answer in (NEVER, MAY) else UNKNOWN for name, answer in tasks.items()}
    return NodePrivileges(machine, node, known)


def _asked(fleet: Fleet, host: Host | None) -> NodePrivileges:
    name = host.name if host is not None else fleet.host_name
    try:
        done = scripts.on(host, ASK, [fleet.name], ASKING_S) if host is not None else _here(fleet.name)
        if done.code != 0:
            raise ManagerError("{why}", why=(done.err.strip().splitlines() or ["-"])[-1])
    except ManagerError as error:
        return NodePrivileges(name, why=error)
    return told(name, done.out)


def _here(fleet: str) -> CommandResult:
    return scripts.here(ASK, [fleet], ASKING_S)
