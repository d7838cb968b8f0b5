"""Whether an instance may have its database exchanged, and keeping it so: nothing of it lives, and nothing can start."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import supervisor_state
from manager.i18n import Text
from manager.ops import instance_folders


@contextmanager
def kept_idle(fleet: Fleet, ids: Iterable[str], up: Iterable[str]) -> Iterator[None]:
    """Holds the instances' own locks, under which no supervisor starts a bot, whoever starts its container.

    `up`: the instances whose container is. Raises ManagerError naming every instance that lives.
    """
    with ExitStack() as held:
        living = {each: Text("its container is up") for each in up}
        for each in ids:
            if each not in living and (why := _living(fleet, each, held)):
                living[each] = why
        if living:
            text = "; ".join(f"{each}: {why}" for each, why in sorted(living.items()))
            raise ManagerError("nothing was restored, since these live: {living}. `manager stop {ids}` first",
                               living=text, ids=" ".join(sorted(living)))  # fmt: skip
        yield


def _living(fleet: Fleet, instance: str, held: ExitStack) -> Text | None:
    try:
        descriptor = os.open(
            fleet.instance_state_dir(instance) / supervisor_state.LOCK_FILE,
            os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC,
        )
    except FileNotFoundError:  # it has never run
        pass
    except OSError as error:
        return Text("its lock cannot be looked at: {why}", why=error.strerror)
    else:
        held.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Text("a supervisor or its bot holds its lock")
    for path, pid in instance_folders.processes_with_open(_files(fleet.database_dir(instance))).items():
        return Text("process {pid} has {path} open", pid=pid, path=path)
    return None


def _files(folder: Path) -> list[Path]:
    return [Path(root, name) for root, _folders, files in os.walk(folder) for name in files]
