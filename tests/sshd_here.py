"""An OpenSSH server of the tests' own: on the loopback, with keys of its own, ended afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import ports
from tests.fleet import ROOT, eventually

TOOLS = ROOT / ".venv" / "test-tools"
"""Where scripts/test-tools.sh unpacks it: installing Debian's package would start it."""


def server() -> str | None:
    """Return the path of sshd, the tests' own first; None where it is missing."""
    return shutil.which("sshd", path=str(TOOLS / "usr" / "sbin")) or shutil.which("sshd", path="/usr/sbin")


def _programs_beside(sshd: str | None) -> dict[str, Path]:
    """Return the settings that name what an unpacked sshd of version 10 runs for each connection."""
    programs = TOOLS / "usr" / "lib" / "openssh"
    if sshd is None or not Path(sshd).is_relative_to(TOOLS):
        return {}
    settings = {"SshdSessionPath": programs / "sshd-session", "SshdAuthPath": programs / "sshd-auth"}
    return {name: path for name, path in settings.items() if path.exists()}


class Place(NamedTuple):
    """Where a server listens. `inside`: the command before it; `proxy`: a line of the client's settings."""

    address: str = "127.0.0.1"
    inside: tuple[str, ...] = ()
    proxy: str = ""
    environ: tuple[tuple[str, str], ...] = ()


HERE = Place()


class Sshd:
    """One that runs. `config`: of the client, with its key and the server's."""

    def __init__(self, folder: Path, place: Place = HERE) -> None:
        self.port, self.folder, self.config = ports.reserve(), folder, folder / "ssh_config"
        self._place = place
        self._runtime = tempfile.TemporaryDirectory(prefix="bft-")  # a socket's path has to be short
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        for name in ("host_key", "client_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        host_key = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text(f"[{place.address}]:{self.port} {host_key}")
        settings: dict[str, object] = {
            "Port": self.port,
            "ListenAddress": place.address,
            "HostKey": folder / "host_key",
            "AuthorizedKeysFile": folder / "client_key.pub",
            "PidFile": "none",
            "PasswordAuthentication": "no",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
        }
        settings.update(_programs_beside(server()))
        of_pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        # Where this machine has its programs and its packages from: no file of a home says so there.
        variables = {"PATH": os.environ["PATH"], **of_pip, **dict(place.environ)}
        settings["SetEnv"] = " ".join(f'{name}="{value}"' for name, value in variables.items())
        (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.config.write_text(
            f"Host *\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
            f"  IdentityFile {folder}/client_key\n  IdentitiesOnly yes\n  UpdateHostKeys no\n{place.proxy}"
        )

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which a manager reaches it, by connections of its own."""
        return {"BOTFLEET_SSH_CONFIG": str(self.config), "XDG_RUNTIME_DIR": self._runtime.name}

    def url(self, folder: Path) -> str:
        return f"ssh://{pwd.getpwuid(os.geteuid()).pw_name}@{self._place.address}:{self.port}{folder}"

    def start(self) -> None:
        libraries = os.pathsep.join(map(str, TOOLS.glob("**/lib/*-linux-gnu")))
        environ = {**os.environ, "LD_LIBRARY_PATH": libraries}
        serve = [str(server()), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        log = (self.folder / "sshd.log").open("ab")
        self.process = subprocess.Popen(
            [*self._place.inside, *_with_its_user(self.folder), *serve], env=environ, stderr=log
        )
        eventually(self._answers, timeout=10, what="an answer of sshd")

    def stop(self) -> None:
        """End it with the connections it has: the link is cut."""
        if self.process is None:
            return
        subprocess.run(["pkill", "-KILL", "-f", f"{self.folder}/sshd_config"], check=False)
        self.process.kill()
        self.process.wait()
        for name in Path(self._runtime.name).glob("botfleet-ssh-*/*"):
            subprocess.run(["pkill", "-KILL", "-f", f"ssh: {name}"], check=False)
            name.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what it has outside of its folder."""
        self._runtime.cleanup()

    def _answers(self) -> bool:
        command = [
            "ssh",
            "-F",
            str(self.config),
            "-o",
            "BatchMode=yes",
            "-p",
            str(self.port),
            self._place.address,
            "true",
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _with_its_user(folder: Path) -> list[str]:
    """Return what lets root start it: it asks for the user `sshd`, which only an installed one has made.

    Root logs in with a home of the test's own: what a person's shell reads at each login is no part of a
    test, and may start a hundred programs.
    """
    if os.geteuid() != 0:
        return []
    (folder / "home").mkdir(exist_ok=True)
    entries = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
    for entry in entries:
        if entry[2] == "0":
            entry[5:] = [str(folder / "home"), "/bin/sh"]
    entries.append(["sshd", "x", "65533", "65534", "", "/run/sshd", "/usr/sbin/nologin"])
    users = folder / "passwd"
    users.write_text("".join(f"{':'.join(entry)}\n" for entry in entries))
    script = f'mkdir -p /run/sshd; mount --bind "{users}" /etc/passwd; exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


@contextmanager
def running(folder: Path, place: Place = HERE) -> Iterator[Sshd]:
    """Start one."""
    sshd = Sshd(folder, place)
    sshd.start()
    try:
        yield sshd
    finally:
        sshd.stop()
        sshd.clean()
