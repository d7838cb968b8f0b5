"""Read the files of all instances while the engine is asked for its list, which takes as long."""

from __future__ import annotations

from manager.fleet import env_file, supervisor_state
from manager.fleet.project import Project


def read(project: Project) -> None:
    """Read them. What has not changed since is not read again when it is looked at, after the list."""
    if len(project.loaded.config_hashes) < len(project.specs):  # where the engine chooses a port
        import hashlib  # noqa: F401 - with a library that takes longer to load than all hashes
    for instance in project.specs:
        supervisor_state.read(project.fleet.instance_state_dir(instance))
        env_file.read_ahead(instance, project.fleet)
