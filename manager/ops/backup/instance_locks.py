"""Ensure that nothing of an instance runs or can start while its database is replaced."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import supervisor_state
from manager.i18n import Text, joined, labelled
from manager.ops.folders import instance_folders


@contextmanager
def hold_instance_locks(fleet: Fleet, ids: Iterable[str], up: Iterable[str]) -> Iterator[None]:
    """Hold the instances' own locks, without which no supervisor starts a bot.

    `up`: the instances whose container is running. Raises ManagerError naming every instance that is in use.
    """
    with ExitStack() as held:
        in_use = {instance: Text("its container is running") for instance in up}
        for instance in ids:
            if instance not in in_use and (why := _why_in_use(fleet, instance, held)):
                in_use[instance] = why
        if in_use:
            text = joined(labelled(instance, why) for instance, why in sorted(in_use.items()))
            raise ManagerError(
                "nothing was restored, because these instances are in use: {instances}; "
                "run `manager stop {ids}` first",
                instances=text,
                ids=" ".join(sorted(in_use)),
            )
        yield


def _why_in_use(fleet: Fleet, instance: str, held: ExitStack) -> Text | None:
    try:
        descriptor = os.open(
            fleet.instance_state_dir(instance) / supervisor_state.LOCK_FILE,
            os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC,
        )
    except FileNotFoundError:  # it has never run
        pass
    except OSError as error:
        return Text("cannot check its lock: {why}", why=error.strerror)
    else:
        held.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Text("its lock is held by a supervisor or its bot")
    for path, pid in instance_folders.processes_with_open(_files(fleet.database_dir(instance))).items():
        return Text("process {pid} has {path} open", pid=pid, path=path)
    return None


def _files(folder: Path) -> list[Path]:
    return [Path(root, name) for root, _folders, files in os.walk(folder) for name in files]
