"""Where things lie in the container."""

from typing import NamedTuple


class Paths(NamedTuple):
    """Folders, so that a test can have its own."""

    logs: str = "/app/logs"
    state: str = "/botfleet/state"
    secrets: str = "/botfleet/secrets"
    run: str = "/run/botfleet"
    cgroup: str = "/sys/fs/cgroup"

    @property
    def state_file(self) -> str:
        return self.state + "/supervisor.json"

    @property
    def lock_file(self) -> str:
        return self.state + "/supervisor.lock"

    @property
    def report_file(self) -> str:
        return self.state + "/report.json"

    @property
    def env_file(self) -> str:
        return self.secrets + "/env.json"

    @property
    def verdict_file(self) -> str:
        return self.run + "/verdict"
