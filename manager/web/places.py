"""Name the files of `manager serve`, in one folder of the data folder: no instance's id begins with a dot."""

from __future__ import annotations

from pathlib import Path

from manager.config.fleet import Fleet
from manager.typed import NamedTuple
from manager.web.protocol import SOCKET_NAME


class Places(NamedTuple):
    """Hold the folder. None of it is mounted into a bot's container."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Return the engine side's Unix socket."""
        return self.folder / SOCKET_NAME

    @property
    def lock(self) -> Path:
        """Return the lock of the one `manager serve`."""
        return self.folder / "serve.lock"

    @property
    def running(self) -> Path:
        """Return the file that says where it listens."""
        return self.folder / "serve.json"

    @property
    def log(self) -> Path:
        """Return the file that gets the output of one in the background."""
        return self.folder / "serve.log"

    @property
    def link(self) -> Path:
        """Return the file with the hash of the link that signs in."""
        return self.folder / "link"

    @property
    def access(self) -> Path:
        """Return the file of passwords and tokens."""
        return self.folder / "access.json"

    @property
    def sessions(self) -> Path:
        """Return the file of the sessions' hashes, which the web side gets as a descriptor."""
        return self.folder / "sessions.json"


def of(fleet: Fleet) -> Places:
    """Return the places of a fleet's server."""
    return Places(fleet.state_dir / ".serve")
