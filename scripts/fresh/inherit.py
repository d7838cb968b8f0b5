"""Find this machine's way to packages, so that a fresh machine can go it: mirror, proxies, certificates,
pip's configuration.

Nothing here knows a host or a folder by name. A proxy or a mirror that listens on the loopback of this
machine is not reachable.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PROXIES = {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"}
NPM_VARIABLES = {"npm_config_registry", "NPM_CONFIG_REGISTRY"}
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "BOTFLEET_CA")
PIP_VARIABLES = {
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "PIP_PROXY",
    "PIP_CONSTRAINT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
}
PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
OWN_CAS = Path("/usr/local/share/ca-certificates")
CA_IN_ROW = "/etc/machine-ca.pem"
"""A name that no package owns: ca-certificates, once installed, writes its bundle anew."""
APT_SETTING = re.compile(r"Acquire::https?::.*(Proxy|CaInfo|Verify)", re.IGNORECASE)
LOCAL_RESOLVER = re.compile(r"^nameserver\s+(127\.|::1)", re.MULTILINE)


@dataclass
class Inherited:
    """Hold what a fresh machine gets from this one.

    `binds` are folders and files of packages, mounted read-only.
    """

    environ: dict[str, str] = field(default_factory=dict)
    binds: set[Path] = field(default_factory=set)
    ca: Path | None = None
    pip: configparser.RawConfigParser = field(default_factory=configparser.RawConfigParser)
    apt: list[str] = field(default_factory=list)

    def write_into(self, root: Path) -> None:
        """Write the files that say it into a root file system."""
        shutil.copy(_resolver(), root / "etc/resolv.conf")
        if self.ca:
            shutil.copy(self.ca, root / CA_IN_ROW[1:])
            (root / CA_IN_ROW[1:]).chmod(0o644)
        if OWN_CAS.is_dir():
            shutil.copytree(OWN_CAS, root / OWN_CAS.relative_to("/"), dirs_exist_ok=True)
        if self.pip.sections():
            with (root / "etc/pip.conf").open("w", encoding="utf-8") as stream:
                self.pip.write(stream)
        if self.apt:
            lines = "".join(f"{line}\n" for line in self.apt)
            (root / "etc/apt/apt.conf.d/90machine").write_text(lines, encoding="utf-8")


def from_this_machine() -> Inherited:
    """Read the environment, pip's and apt's configuration of this machine."""
    inherited = Inherited()
    for name, value in os.environ.items():
        if value and (
            name.lower() in PROXIES or name in PIP_VARIABLES | NPM_VARIABLES or name == "BOTFLEET_APT_MIRROR"
        ):
            inherited.environ[name] = value
            inherited.binds |= _local_paths(value)
        elif name in CA_VARIABLES and Path(value).is_file():
            inherited.ca = inherited.ca or Path(value)
            inherited.environ[name] = CA_IN_ROW
    _read_pip(inherited)
    _read_apt(inherited)
    return inherited


def debian_mirror(suite: str) -> str:
    """Return the mirror in this machine's apt sources; empty where it has none of Debian's."""
    if mirror := os.environ.get("BOTFLEET_APT_MIRROR"):
        return mirror
    for line in _output(
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(CODENAME)",
        "Created-By: Packages",
        "Origin: Debian",
    ):
        uri, _space, codename = line.partition(" ")
        if codename == suite or codename.isalpha():
            return uri
    return ""


def _read_pip(inherited: Inherited) -> None:
    files = [Path(name).expanduser() for name in PIP_FILES]
    if named := os.environ.get("PIP_CONFIG_FILE"):
        files.append(Path(named))
    inherited.pip.read([file for file in files if file.is_file()], encoding="utf-8")
    for section in inherited.pip.sections():
        for key, value in inherited.pip.items(section):
            if key == "cert" and Path(value).is_file():
                inherited.ca = inherited.ca or Path(value)
                inherited.pip.set(section, key, CA_IN_ROW)
            else:
                inherited.binds |= _local_paths(value)


def _read_apt(inherited: Inherited) -> None:
    for line in _output("apt-config", "dump"):
        if APT_SETTING.match(line):
            file = re.search(r'CaInfo "(/[^"]+)"', line, re.IGNORECASE)
            if file and Path(file[1]).is_file():
                inherited.ca = inherited.ca or Path(file[1])
                line = line.replace(file[1], CA_IN_ROW)
            inherited.apt.append(line)


def _local_paths(value: str) -> set[Path]:
    """Return the folders and files of this machine that a setting names; of a simple index, the folder
    around it.
    """
    paths = set()
    for word in value.split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            paths.add(path.parent if path.name == "simple" and len(path.parts) > 2 else path)
    return paths


def _resolver() -> Path:
    """Return the file of name servers that can be asked from another network namespace, too."""
    file, behind = Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")
    return behind if LOCAL_RESOLVER.search(file.read_text()) and behind.exists() else file


def _output(*command: str) -> list[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return []
