"""Name the paths of the contract."""


class Paths:
    """Hold the paths in the container. A test passes folders of its own."""

    def __init__(
        self,
        logs: str = "/app/logs",
        state: str = "/botfleet/state",
        secrets: str = "/botfleet/secrets",
        run: str = "/run/botfleet",
        cgroup: str = "/sys/fs/cgroup",
    ) -> None:
        self.logs = logs
        self.cgroup = cgroup
        self.secrets = secrets
        self.state_file = state + "/supervisor.json"
        self.exits_file = state + "/exits.json"
        self.lock_file = state + "/supervisor.lock"
        self.report_file = run + "/report.json"  # written by the bot: a tmpfs, which no full disk refuses
        self.report_copy = state + "/report.json"
        self.env_file = secrets + "/env.json"
        self.requests_file = secrets + "/requests.json"
        self.others_file = secrets + "/others.json"
        self.halt_mark = secrets + "/halted"
        self.tombstone = secrets + "/moved"
        self.verdict_file = run + "/verdict"
