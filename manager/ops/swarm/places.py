"""Make the folders of instances on the nodes, and learn from each machine which node it is.

Where a machine is known by ssh, the same script runs there: the manager need not be installed.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.config.fleet import Fleet
from manager.config.spec import BOT_ID, InstanceSpec
from manager.errors import ManagerError
from manager.ops.hosts.registry import Host
from manager.ops.swarm import scripts
from manager.typed import NamedTuple

MAKING_S = 60.0
PREPARE = """\
set -eu
umask 022
cd -- "$0"
image=$1 data=$2 bot=$3
shift 3
docker info --format 'node {{.Swarm.NodeID}}'
if docker image inspect "$image" >/dev/null 2>&1; then echo image yes; fi
mkdir -p -- "$data"
cd -- "$data"
uid=$(stat -c %u .) gid=$(stat -c %g .)
if [ "$uid" = 0 ]; then uid=$bot gid=$bot; fi
echo "uid $uid"
echo "gid $gid"
echo "data $(pwd -P)"
folder() {
  if [ -L "$1" ]; then echo "$PWD/$1 is a symbolic link" >&2; exit 1; fi
  if [ ! -d "$1" ]; then mkdir -p -- "$1"; chmod "$2" "$1"; fi
  if [ "$(id -u)" = 0 ]; then chown "$uid:$gid" "$1"; fi
}
while [ $# -gt 1 ]; do
  id=$1 logs=$2
  shift 2
  if [ -f "database/$id.db" ] && [ ! -L "database/$id.db" ]; then
    echo "$PWD/database/$id.db is a file: run \\`manager up $id\\` there once, which moves it" >&2; exit 1
  fi
  folder "$logs" 755
  folder "database/$id" 755
  folder "state/$id" 755
  folder "secrets/$id" 700
  if [ ! -e "secrets/$id/env.json" ]; then
    (umask 277; echo '{}' >"secrets/$id/env.json")
    if [ "$(id -u)" = 0 ]; then chown "$uid:$gid" "secrets/$id/env.json"; fi
  fi
  if [ -e "secrets/$id/moved" ]; then echo "moved $id"; fi
  if [ -e "secrets/$id/halted" ]; then echo "halted $id"; fi
done
running=$(docker ps --filter label=botfleet.instance --filter label=com.docker.compose.oneoff=False \
  --format '{{.Label "botfleet.instance"}} {{.Label "com.docker.compose.project.working_dir"}}')
echo "$running" | while read -r id project; do
  if [ "$project" -ef "$0" ]; then echo "plain $id"; fi
done
"""
"""Make what the containers mount, and tell what is there. A Swarm mounts nothing that is missing.

`env.json` is the place onto which the secret is mounted: its folder is read-only in the container.
"""


class Place(NamedTuple):
    """Hold what a machine told. `plain`: the instances that run there as containers without Swarm.

    `halted`: those with a halt mark there, which the supervisor heeds.
    """

    node: str
    data_dir: str
    uid: int
    gid: int
    has_image: bool
    moved: frozenset[str]
    plain: frozenset[str]
    halted: frozenset[str] = frozenset()


def prepare(host: Host | None, fleet: Fleet, specs: Iterable[InstanceSpec], image_id: str) -> Place:
    """Make the folders on a machine, None for this one, and return what it told. Raises ManagerError."""
    words = [image_id, data_folder(fleet), str(BOT_ID)]
    for spec in specs:
        words += [spec.id, spec.log_dir]
    name = host.name if host is not None else fleet.host_name
    if host is not None:
        done = scripts.on(host, PREPARE, [host.folder, *words], MAKING_S)
    else:
        done = scripts.here(PREPARE, [str(fleet.project_dir), *words], MAKING_S)
    if done.code != 0:
        why = (done.err.strip().splitlines() or ["-"])[-1]
        raise ManagerError("node {name}: cannot make the folders: {why}", name=name, why=why)
    return told(name, done.out)


def data_folder(fleet: Fleet) -> str:
    """Return the data folder, relative to the project folder where it lies in it."""
    if fleet.data_dir.is_relative_to(fleet.project_dir):
        return str(fleet.data_dir.relative_to(fleet.project_dir))
    return str(fleet.data_dir)


def told(name: str, text: str) -> Place:
    """Return what a machine told. Raises ManagerError for one that is in no Swarm. Pure."""
    pairs = [line.partition(" ")[::2] for line in text.splitlines()]
    places = dict(pairs)
    if not places.get("node"):
        raise ManagerError(
            "node {name}: its engine is in no Swarm; run `docker swarm join` there, or pin the instance to"
            " another machine by `host` in its config",
            name=name,
        )
    return Place(
        places["node"],
        places["data"],
        int(places["uid"]),
        int(places["gid"]),
        "image" in places,
        *(frozenset(value for key, value in pairs if key == what) for what in ("moved", "plain", "halted")),
    )
