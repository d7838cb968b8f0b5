"""Read the files of all instances while the engine is asked for its list, which takes as long."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread  # `threading` takes a short command a millisecond
from collections.abc import Callable, Collection
from contextlib import suppress

from manager.fleet import env_file, supervisor_state
from manager.fleet.project import Project


def begin(project: Project, compared: Collection[str]) -> Callable[[], object]:
    """Begin to read them, and return what waits until that is done.

    What has not changed since is not read again when it is looked at, after the list. `compared`: whose env
    files will be.
    """
    is_over = allocate_lock()
    is_over.acquire()

    def read() -> None:
        try:
            with suppress(Exception):  # whoever looks at them afterwards meets the same
                _read(project, compared)
        finally:
            is_over.release()

    try:
        start_new_thread(read, ())
    except RuntimeError:  # there are too many threads
        is_over.release()
    return is_over.acquire


def _read(project: Project, compared: Collection[str]) -> None:
    if len(project.loaded.config_hashes) < len(project.specs):  # where the engine chooses a port
        import hashlib  # noqa: F401 - with a library that takes longer to load than all hashes
    for instance in project.specs:
        supervisor_state.read(project.fleet.instance_state_dir(instance))
    for instance in compared:
        env_file.read_ahead(instance, project.fleet)
