"""Collect where a build may fetch packages: mirrors, proxies and certificates of the environment and pip's
config.

They are passed to a build as files that exist only while a command runs (build secrets): a build argument
would remain readable in the image's history.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from manager.errors import ManagerError
from manager.util import scratch
from manager.util.formatting import file_size

APT_MIRROR = "BOTFLEET_APT_MIRROR"
EXTRA_CA = "BOTFLEET_CA"
# Each of these replaces its tool's own list of authorities, so the first that is set is the whole list here
# too.
CA_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy")
PIP_SECTIONS = ("global", "install", ":env:")  # the later one wins, as in pip
PIP_ANSWERS_S = 30  # a second on an idle machine
MAX_SECRET_BYTES = 500 * 1024  # BuildKit refuses more

SECRETS_IN_BUILD = "/run/secrets"


@dataclass(frozen=True)
class Mirrors:
    """Hold the settings for fetching. `pip` has the keys of pip's config; `ca` is PEM text or empty."""

    pip: Mapping[str, tuple[str, ...]]
    apt: str
    ca: str
    proxies: Mapping[str, str]

    def secrets(self) -> dict[str, str]:
        """Return every secret that the Dockerfile may mount, by id.

        All are always given, unused ones empty.
        """
        return {
            "pip.conf": self._pip_conf(),
            "apt.conf": self._apt_conf(),
            "sources.list": self._sources_list(),
            "ca.pem": self.ca,
        }

    def base_settings(self, ca_file: Path) -> str:
        """Return the KEY=VALUE lines that scripts/base-image.sh reads from its stdin."""
        lines = [f"{name}={value}" for name, value in self.proxies.items()]
        if self.apt:
            lines.append(f"mirror={self.apt}")
        if self.ca:
            lines.append(f"ca={ca_file}")
        return "".join(f"{line}\n" for line in lines)

    def _pip_conf(self) -> str:
        settings = dict(self.pip)
        if "proxy" not in settings and (
            proxy := self.proxies.get("https_proxy") or self.proxies.get("http_proxy")
        ):
            settings["proxy"] = (proxy,)
        if self.ca:
            settings["cert"] = (f"{SECRETS_IN_BUILD}/ca.pem",)
        lines = [f"{key} = " + "\n    ".join(values) for key, values in settings.items()]
        return "\n".join(["[global]", *lines, ""]) if lines else ""

    def _apt_conf(self) -> str:
        lines = []
        if self.apt:
            lines += [
                f'Dir::Etc::SourceList "{SECRETS_IN_BUILD}/sources.list";',
                'Dir::Etc::SourceParts "-";',
            ]
        if self.ca:
            lines.append(f'Acquire::https::CaInfo "{SECRETS_IN_BUILD}/ca.pem";')
        for scheme in ("http", "https"):
            if proxy := self.proxies.get(f"{scheme}_proxy"):
                lines.append(f'Acquire::{scheme}::Proxy "{proxy}";')
        return "".join(f"{line}\n" for line in lines)

    def _sources_list(self) -> str:
        if not self.apt:
            return ""
        security = self.apt.rstrip("/") + "-security"
        return (
            f"deb {self.apt} bookworm main\n"
            f"deb {self.apt} bookworm-updates main\n"
            f"deb {security} bookworm-security main\n"
        )


def from_environment(environ: Mapping[str, str]) -> Mirrors:
    """Read the environment, pip's config and the certificate files that they name."""
    pip = _pip_config(environ)
    return Mirrors(
        pip={key: pip[key] for key in PIP_KEYS if key in pip},
        apt=environ.get(APT_MIRROR, ""),
        ca=_certificates(environ, pip.get("cert", ())),
        proxies=_proxies(environ),
    )


@contextmanager
def as_files(mirrors: Mirrors) -> Iterator[dict[str, Path]]:
    """Provide the secrets as files in a temporary folder that only this user can read."""
    with TemporaryDirectory(prefix="botfleet-secrets-", dir=scratch.folder()) as folder:
        files = {}
        for name, text in mirrors.secrets().items():
            files[name] = Path(folder, name)
            files[name].write_text(text, encoding="utf-8")
        yield files


def _pip_config(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return pip's settings from its files and PIP_* variables.

    Local folders as indexes are useless in a build.
    """
    settings: dict[str, tuple[str, ...]] = {}
    listed = _pip_config_list(environ)
    for section in PIP_SECTIONS:
        for line in listed:
            name, equals, value = line.partition("=")
            if equals and name.startswith(section + "."):
                settings[name.removeprefix(section + ".")] = tuple(str(ast.literal_eval(value)).split())
    for key in ("index-url", "extra-index-url"):
        urls = tuple(url for url in settings.pop(key, ()) if urlsplit(url).scheme in ("http", "https"))
        if urls:
            settings[key] = urls
    return settings


def _pip_config_list(environ: Mapping[str, str]) -> list[str]:
    """Return the lines of `pip config list`; none when pip does not answer."""
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        completed = subprocess.run(
            command, env=dict(environ), capture_output=True, text=True, timeout=PIP_ANSWERS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return completed.stdout.splitlines() if completed.returncode == 0 else []


def _certificates(environ: Mapping[str, str], pip_cert: tuple[str, ...]) -> str:
    bundle = next((environ[name] for name in CA_BUNDLES if environ.get(name)), None)
    if bundle is None and pip_cert:
        bundle = " ".join(pip_cert)
    extra = environ.get(EXTRA_CA)
    if extra and bundle is None:
        import certifi  # comes with requests; only here, where an authority is added to the usual ones

        bundle = certifi.where()
    text = "".join(_read_certificates(Path(file)) for file in dict.fromkeys((bundle, extra)) if file)
    if len(text.encode()) > MAX_SECRET_BYTES:
        raise ManagerError(
            "cannot build the image: the certificates in {files} are larger than {limit}; set"
            " BOTFLEET_CA to a file with your company's own only",
            files=" + ".join(str(file) for file in (bundle, extra) if file),
            limit=file_size(MAX_SECRET_BYTES),
        )
    return text


def _read_certificates(file: Path) -> str:
    """Return the certificates of a PEM file without its comments, which can be half of it."""
    try:
        text = file.expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as err:
        raise ManagerError(
            "cannot read the certificates in {file}: {why}", file=file, why=err.strerror
        ) from err
    certificates = re.findall(
        r"-----BEGIN [A-Z ]*CERTIFICATE-----.*?-----END [A-Z ]*CERTIFICATE-----", text, re.DOTALL
    )
    if not certificates:
        raise ManagerError("cannot use {file}: there is no certificate in it (PEM is expected)", file=file)
    return "".join(f"{certificate}\n" for certificate in certificates)


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    both = {name: environ.get(name) or environ.get(name.upper()) for name in PROXIES}
    return {name: value for name, value in both.items() if value}
