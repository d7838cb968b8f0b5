"""Mirrors, proxies and certificates: from the environment to the files a build reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from manager.engine import build_mirrors
from manager.errors import ManagerError

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


ask_pip = build_mirrors._pip_config_list


@pytest.fixture(name="config", autouse=True)
def _config(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pip lists of its files: nothing, until a test adds lines.

    It takes half a second, and reads /etc/pip.conf.
    """
    lines: list[str] = []
    monkeypatch.setattr(build_mirrors, "_pip_config_list", lambda environ: [*of_environment(environ), *lines])
    return lines


def of_environment(environ: Mapping[str, str]) -> list[str]:
    """What pip lists of its variables."""
    names = {
        name: name.removeprefix("PIP_").lower().replace("_", "-")
        for name in environ
        if name.startswith("PIP_")
    }
    return [f":env:.{key}={environ[name]!r}" for name, key in sorted(names.items(), key=lambda pair: pair[1])]


def secrets(**environ: str) -> dict[str, str]:
    return build_mirrors.from_environment(environ).secrets()


def pem(folder: Path, name: str, comment: str = "") -> str:
    (folder / name).write_text(comment + PEM.format(name))
    return str(folder / name)


def test_pip_itself_lists_its_settings_like_that() -> None:
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",  # it reads no other file then
        "PIP_INDEX_URL": "https://me:it's@pip.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://one.example https://two.example",
    }
    assert ask_pip(environ) == of_environment(environ)


def test_without_settings_every_file_is_empty() -> None:
    assert secrets() == {"pip.conf": "", "apt.conf": "", "sources.list": "", "ca.pem": ""}


def test_pip_gets_the_mirrors_that_a_build_can_reach() -> None:
    files = secrets(
        PIP_INDEX_URL="https://me:word@pip.example/simple",
        PIP_EXTRA_INDEX_URL="file:///srv/wheels https://more.example/simple",
        PIP_TRUSTED_HOST="pip.example",
    )
    assert files["pip.conf"] == (
        "[global]\n"
        "index-url = https://me:word@pip.example/simple\n"
        "extra-index-url = https://more.example/simple\n"
        "trusted-host = pip.example\n"
    )


def test_a_users_pip_config_counts_and_the_environment_beats_it(config: list[str]) -> None:
    config += [
        "global.extra-index-url='\\nhttps://one.example\\nhttps://two.example'",
        "global.index-url='https://global.example/simple'",
        "install.index-url='https://install.example/simple'",
    ]
    assert secrets()["pip.conf"] == (
        "[global]\n"
        "index-url = https://install.example/simple\n"
        "extra-index-url = https://one.example\n    https://two.example\n"
    )
    assert "env.example" in secrets(PIP_INDEX_URL="https://env.example")["pip.conf"]


def test_an_apt_mirror_replaces_the_images_sources() -> None:
    files = secrets(BOTFLEET_APT_MIRROR="https://me:word@apt.example/debian/")
    assert files["sources.list"] == (
        "deb https://me:word@apt.example/debian/ bookworm main\n"
        "deb https://me:word@apt.example/debian/ bookworm-updates main\n"
        "deb https://me:word@apt.example/debian-security bookworm-security main\n"
    )
    assert (
        files["apt.conf"] == 'Dir::Etc::SourceList "/run/secrets/sources.list";\nDir::Etc::SourceParts "-";\n'
    )


def test_proxies_reach_pip_and_apt() -> None:
    files = secrets(HTTPS_PROXY="http://me:word@proxy.example:3128", http_proxy="http://plain.example:3128")
    assert files["pip.conf"] == "[global]\nproxy = http://me:word@proxy.example:3128\n"
    assert files["apt.conf"] == (
        'Acquire::http::Proxy "http://plain.example:3128";\nAcquire::https::Proxy'
        ' "http://me:word@proxy.example:3128";\n'
    )


def test_the_first_bundle_counts_and_the_companys_own_is_added(tmp_path: Path) -> None:
    bundle, unused, own = (pem(tmp_path, name, "a comment\n") for name in ("bundle", "unused", "own"))
    files = secrets(PIP_CERT=bundle, SSL_CERT_FILE=unused, BOTFLEET_CA=own)
    assert files["ca.pem"] == PEM.format("bundle") + PEM.format("own")
    assert files["pip.conf"] == "[global]\ncert = /run/secrets/ca.pem\n"
    assert files["apt.conf"] == 'Acquire::https::CaInfo "/run/secrets/ca.pem";\n'
    assert secrets(BOTFLEET_CA=own)["ca.pem"].endswith(PEM.format("own"))
    assert secrets(BOTFLEET_CA=own)["ca.pem"].count("BEGIN") > 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "cannot read the certificates in {file}: No such file or directory"),
        ("not a certificate", "cannot use {file}: there is no certificate in it (PEM is expected)"),
        (
            PEM.format("x" * 600_000),
            "cannot build the image: the certificates in {file} are larger than 512 kB",
        ),
    ],
)
def test_a_bad_certificate_file_is_named(tmp_path: Path, text: str | None, expected: str) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ManagerError) as caught:
        secrets(PIP_CERT=str(file))
    assert str(caught.value).startswith(expected.format(file=file))


def test_secrets_are_files_only_while_a_build_needs_them() -> None:
    mirrors = build_mirrors.Mirrors(pip={"index-url": ("https://pip.example",)}, apt="", ca="", proxies={})
    with build_mirrors.as_files(mirrors) as files:
        assert files["pip.conf"].read_text() == "[global]\nindex-url = https://pip.example\n"
        assert files["pip.conf"].parent.stat().st_mode & 0o077 == 0
        kept = dict(files)
    assert not any(file.exists() for file in kept.values())
