"""Where a build may fetch packages from: the mirrors, proxies and certificates that the environment and pip's own config name.

They go into a build as files that exist only while a command of it runs (build secrets): a build argument would stay
readable in the image's history.
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

APT_MIRROR = "BOTFLEET_APT_MIRROR"
EXTRA_CA = "BOTFLEET_CA"
# Each of these replaces its tool's own list of authorities, so the first that is set is the whole list here too.
CA_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy")
PIP_SECTIONS = ("global", "install", ":env:")  # the later one wins, as in pip
PIP_ANSWERS_S = 30  # a second on an idle machine
MAX_SECRET_BYTES = 500 * 1024  # BuildKit refuses more

SECRETS_IN_BUILD = "/run/secrets"


@dataclass(frozen=True)
class Mirrors:
    """What the environment says about fetching. `pip` is keyed as pip's config is; `ca` is PEM text or empty."""

    pip: Mapping[str, tuple[str, ...]]
    apt: str
    ca: str
    proxies: Mapping[str, str]

    def secrets(self) -> dict[str, str]:
        """Every secret the Dockerfile may mount, by id. All are always given, empty where there is nothing to say."""
        return {
            "pip.conf": self._pip_conf(),
            "apt.conf": self._apt_conf(),
            "sources.list": self._sources_list(),
            "ca.pem": self.ca,
        }

    def base_settings(self, ca_file: Path) -> str:
        """The KEY=VALUE lines that scripts/base-image.sh reads from its stdin."""
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
    """Reads the environment, pip's config and the certificate files they name."""
    pip = _pip_config(environ)
    return Mirrors(
        pip={key: pip[key] for key in PIP_KEYS if key in pip},
        apt=environ.get(APT_MIRROR, ""),
        ca=_certificates(environ, pip.get("cert", ())),
        proxies=_proxies(environ),
    )


@contextmanager
def as_files(mirrors: Mirrors) -> Iterator[dict[str, Path]]:
    """The secrets as files of a folder that only this user can read and that is gone afterwards."""
    with TemporaryDirectory(prefix="botfleet-secrets-") as folder:
        files = {}
        for name, text in mirrors.secrets().items():
            files[name] = Path(folder, name)
            files[name].write_text(text, encoding="utf-8")
        yield files


def _pip_config(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What pip itself makes of its files and PIP_* variables. A folder of this machine as an index is of no use in a build."""
    found: dict[str, tuple[str, ...]] = {}
    listed = _pip_config_list(environ)
    for section in PIP_SECTIONS:
        for line in listed:
            name, equals, value = line.partition("=")
            if equals and name.startswith(section + "."):
                found[name.removeprefix(section + ".")] = tuple(str(ast.literal_eval(value)).split())
    for key in ("index-url", "extra-index-url"):
        urls = tuple(url for url in found.pop(key, ()) if urlsplit(url).scheme in ("http", "https"))
        if urls:
            found[key] = urls
    return found


def _pip_config_list(environ: Mapping[str, str]) -> list[str]:
    """Return the lines of `pip config list`; none when pip does not answer."""
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, text=True, timeout=PIP_ANSWERS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


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
            "cannot build the image: the certificates in {files} are larger than {limit} kB; set BOTFLEET_CA to a file with your company's own only",
            files=" + ".join(str(file) for file in (bundle, extra) if file),
            limit=MAX_SECRET_BYTES // 1024,
        )
    return text


def _read_certificates(file: Path) -> str:
    """The certificates of a PEM file, without the comments that can be half of it."""
    try:
        text = file.expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as err:
        raise ManagerError(
            "cannot read the certificates in {file}: {why}", file=file, why=err.strerror
        ) from err
    found = re.findall(
        r"-----BEGIN [A-Z ]*CERTIFICATE-----.*?-----END [A-Z ]*CERTIFICATE-----", text, re.DOTALL
    )
    if not found:
        raise ManagerError("cannot use {file}: there is no certificate in it (PEM is expected)", file=file)
    return "".join(f"{certificate}\n" for certificate in found)


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    both = {name: environ.get(name) or environ.get(name.upper()) for name in PROXIES}
    return {name: value for name, value in both.items() if value}
