"""Try whether containers can write to the bots' folders, once for each engine and disk, before a bot is made.

What forbids it is no fault of a bot: another owner, SELinux, a folder that Docker Desktop does not share. A
bot would only restart again and again. Known to work is what another bot's supervisor writes to already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from manager.config.container_paths import DATA_AT, LOGS_AT, SECRETS_AT, STATE_AT
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config, labels
from manager.engine.client import Engine, security_modes
from manager.engine.container_config import HostContext
from manager.errors import EngineError, EngineUnreachable, ManagerError
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.folders import instance_folders
from manager.typed import Any
from manager.util import atomic_file, mountinfo, strict_json
from manager.util.sanitize import replace_unprintable
from manager.util.threads import Deferred

NAME = "mount-probe"
WITHIN_S = 60
NO_ROOM = ("no space left on device", "disk quota exceeded")
OF_THE_KERNEL = ("cgroup", "inotify", "keyring", "session key")
"""The kernel says “no space” and “quota” of these, too, and no disk is full."""
DENIED = ("permission denied", "operation not permitted")
READ_ONLY = "read-only file system"
NOT_SHARED = ("mounts denied", "bind source path does not exist")
FOLDER = "<folder>"
"""Stands for the data folder in an error, whose own name says nothing of it."""
NO_SHELL = re.compile(r"\bexec(utable)?\b")
CANNOT_WRITE = 3
GIVES_AWAY = 4
"""A file that was just made cannot be opened again, as a bot's database is: NFS with all_squash, sshfs."""
FILE = ".botfleet-probe"
SCRIPT = f"""
status=0
umask 077
for folder in {LOGS_AT} {DATA_AT} {STATE_AT}; do
  if (echo > "$folder/{FILE}"); then
    (echo >> "$folder/{FILE}") || status={GIVES_AWAY}
    rm -f "$folder/{FILE}" || status={CANNOT_WRITE}
  else
    status={CANNOT_WRITE}
  fi
done
ls {SECRETS_AT} > /dev/null || status={CANNOT_WRITE}
exit $status
"""
MOST_ENGINES = 20
MOST_MOUNTS = 200


@contextmanager
def alongside(
    engine: Engine,
    snapshot: FleetSnapshot,
    specs: Iterable[InstanceSpec],
    place: HostContext,
    info: Mapping[str, Any],
) -> Iterator[dict[str, ManagerError]]:
    """Probe while the block runs; from its end on, provide what `probe` returns, or raise what it raises."""
    faults: dict[str, ManagerError] = {}
    probing = Deferred(partial(probe, engine, snapshot, specs, place, info))
    try:
        yield faults
    finally:
        try:
            faults.update(probing.result())
        except KeyboardInterrupt:
            probing.result()  # it removes its container
            raise


def probe(
    engine: Engine,
    snapshot: FleetSnapshot,
    specs: Iterable[InstanceSpec],
    place: HostContext,
    info: Mapping[str, Any],
) -> dict[str, ManagerError]:
    """Try each disk that the folders of these instances are on, once for each engine and project folder.

    Return instance → why a container cannot write to its folders. Raises ManagerError if none of them can.
    """
    fleet, engine_id = snapshot.project.fleet, str(info.get("ID") or "")
    if not engine_id:
        return {}
    points = mount_points()
    recorded = known_mounts(fleet, engine_id, points)
    known = recorded | _heard_mounts(snapshot, points)
    faults: dict[str, ManagerError] = {}
    specs = list(specs)
    for spec in specs:
        mounts = _mounts_of(spec, fleet, points)
        if mounts <= known:
            continue
        try:
            instance_folders.prepare(spec, fleet, place.owner)
            _try(engine, fleet, spec, place, info)
        except EngineUnreachable:
            raise
        except ManagerError as error:
            faults[spec.id] = error
            continue
        known = known | mounts
    if known != recorded:
        _remember(fleet, engine_id, known)
    if faults and len(faults) == len(specs):
        raise next(iter(faults.values()))
    return faults


def mount_points() -> tuple[str, ...]:
    """Return where file systems are mounted, longest first."""
    return tuple(sorted({mount.at for mount in mountinfo.read()}, key=len, reverse=True)) or ("/",)


def mount_of(path: Path, points: Iterable[str]) -> str:
    """Return the mount point that a path is, or will be, below."""
    real = os.path.realpath(path)
    return next((point for point in points if f"{real}/".startswith(f"{point.rstrip('/')}/")), "/")


def _mounts_of(spec: InstanceSpec, fleet: Fleet, points: Iterable[str]) -> frozenset[str]:
    return frozenset(mount_of(fleet.data_dir / bind.source, points) for bind in container_config.binds(spec))


def known_mounts(fleet: Fleet, engine_id: str, points: Iterable[str]) -> frozenset[str]:
    """Return the mounts that were tried on this engine for this folder."""
    record = _record(fleet)
    own = [engine_id, str(fleet.project_dir)]
    known = {mount for *of, mount in record["mounts"] if of == own}
    if own in record["engines"]:  # by a version that tried one instance
        known.add(mount_of(fleet.data_dir, points))
    return frozenset(known)


def _heard_mounts(snapshot: FleetSnapshot, points: Iterable[str]) -> frozenset[str]:
    """Return the mounts that the supervisor of a present container has written to."""
    fleet, specs = snapshot.project.fleet, snapshot.project.specs
    heard: set[str] = set()
    for instance, view in snapshot.views.items():
        if (
            view.container is None
            or view.supervisor is None
            or view.supervisor.container != view.container.id
        ):
            continue
        heard.add(mount_of(fleet.instance_state_dir(instance), points))
        if instance in specs:
            heard |= _mounts_of(specs[instance], fleet, points)
    return frozenset(heard)


def _try(
    engine: Engine, fleet: Fleet, spec: InstanceSpec, place: HostContext, info: Mapping[str, Any]
) -> None:
    container = ""
    try:
        container = engine.create(f"{fleet.name}-{NAME}-{os.urandom(4).hex()}", body(spec, fleet, place))
        engine.start(container)
        code = engine.wait(container, WITHIN_S)
        err = engine.output(container, "stderr", 10) if code == CANNOT_WRITE else ""
    except EngineUnreachable:
        raise
    except EngineError as error:
        error_text = str(error).replace(str(fleet.data_dir), FOLDER).lower()
        if container and NO_SHELL.search(
            error_text
        ):  # an image without a shell: its bots may write all the same
            return
        advice = _advice(
            error_text, fleet, place, info, is_denied=FOLDER in error_text and _says(error_text, DENIED)
        )
        if advice is None:
            raise ManagerError(
                "a container with the bots' folders cannot be made: {why}", why=error
            ) from error
        raise ManagerError(
            "a container with the bots' folders cannot be made: {why}; {advice}", why=error, advice=advice
        ) from error
    finally:
        if container:
            with suppress(EngineError):
                engine.discard(container)
    if code == GIVES_AWAY:
        raise ManagerError(
            "a container cannot open again what it has made in {folder}: the file system gives it to another"
            " user, as NFS with all_squash and sshfs do; move the data folder to a local disk, and set"
            " data_dir in config/fleet.toml to it",
            folder=fleet.data_dir,
        )
    if code == CANNOT_WRITE:
        why = _on_host(err, spec, fleet)
        error_text = err.lower()
        advice = _advice(error_text, fleet, place, info, is_denied=_says(error_text, DENIED))
        if advice is None and READ_ONLY in error_text:
            advice = Text("it is mounted read-only: mount it so that it can be written to")
        if advice is None:
            raise ManagerError("a container cannot write to the bots' folders: {why}", why=why)
        raise ManagerError(
            "a container cannot write to the bots' folders: {why}; {advice}", why=why, advice=advice
        )


def _advice(
    error_text: str, fleet: Fleet, place: HostContext, info: Mapping[str, Any], *, is_denied: bool
) -> Text | None:
    """Return what to do about this error (in lower case), on this kind of engine; None of an unknown one.

    `is_denied`: it forbids to use the folders.
    """
    if _says(error_text, NO_ROOM):
        if _says(error_text, OF_THE_KERNEL):
            return None
        return Text("that disk is full: free space on it, or inodes (`df -h` and `df -i` show which)")
    is_desktop = "Docker Desktop" in str(info.get("OperatingSystem", ""))
    if is_desktop and (is_denied or _says(error_text, NOT_SHARED)):
        return Text(
            "share {folder} with Docker Desktop (Settings, Resources, File sharing)", folder=fleet.data_dir
        )
    if not is_denied:
        return None
    if "selinux" in security_modes(info):
        return Text(
            "the engine uses SELinux: run `chcon -R -t container_file_t {folder}`", folder=fleet.data_dir
        )
    return Text(
        "uid {uid} must be allowed to write to {folder}: look at its owner and its file system",
        uid=place.owner[0],
        folder=fleet.data_dir,
    )


def _says(error_text: str, words: Iterable[str]) -> bool:
    return any(word in error_text for word in words)


def _on_host(err: str, spec: InstanceSpec, fleet: Fleet) -> str:
    """Return the first error, with the folder's path on the host."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    line = lines[0].removeprefix("sh: ") if lines else "-"
    for bind in sorted(container_config.binds(spec), key=lambda bind: -len(bind.target)):
        line = line.replace(bind.target, str(fleet.data_dir / bind.source))
    return replace_unprintable(line.replace(f"/{FILE}", ""))


def body(spec: InstanceSpec, fleet: Fleet, place: HostContext) -> dict[str, Any]:
    """Return the definition of the container that tries them: the instance's user and folders. Pure."""
    return {
        "Image": place.image_id or fleet.image_name,
        "User": f"{place.uid}:{place.gid}",
        "Entrypoint": ["sh", "-c", SCRIPT],
        "Cmd": [],
        "Labels": labels.of_oneoff(fleet.name, NAME),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "Mounts": container_config.mounts(spec, fleet),
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 64 << 20,
            "PidsLimit": 32,
            "LogConfig": {"Type": "local"},  # the engine's own default may need a service that is away
        },
    }


def _record(fleet: Fleet) -> dict[str, list[list[str]]]:
    """Return what was tried: `engines`: [engine, folder], `mounts`: [engine, folder, mount point]."""
    record: dict[str, list[list[str]]] = {"engines": [], "mounts": []}
    try:
        content: Any = strict_json.read(fleet.probed_file)
        for name, length in (("engines", 2), ("mounts", 3)):
            for entry in content.get(name, []):
                if isinstance(entry, list) and len(entry) == length:
                    record[name].append([str(part) for part in entry])
    except (strict_json.JsonFault, OSError, TypeError, AttributeError):
        return {"engines": [], "mounts": []}
    return record


def _remember(fleet: Fleet, engine_id: str, mounts: frozenset[str]) -> None:
    own, record = [engine_id, str(fleet.project_dir)], _record(fleet)
    others = [entry for entry in record["mounts"] if entry[:2] != own]
    engines = [entry for entry in record["engines"] if entry != own]
    content = {
        "engines": [*engines, own][-MOST_ENGINES:],
        "mounts": [*others, *([*own, mount] for mount in sorted(mounts))][-MOST_MOUNTS:],
    }
    with suppress(OSError):  # it is tried again next time
        atomic_file.write_atomically(fleet.probed_file, content, durable=False)
