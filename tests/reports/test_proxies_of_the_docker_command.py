"""A proxy in ~/.docker/config.json reached the bots that Compose made, and no others, and nothing said so.

The docker command adds it to each container that it makes. Behind it, those of `manager up` had none.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.monitor.doctor import probe_engine
from tests.fakes.sandbox import Sandbox

PROXY = "http://proxy.example.org:3128"
FINDING = "has proxies: `docker compose up` gives them to its containers, and the manager does not"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker command's settings."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"


def test_doctor_says_who_has_the_proxy_until_the_fleet_passes_one(sandbox: Sandbox, settings: Path) -> None:
    settings.write_text(json.dumps({"proxies": {"default": {"httpsProxy": PROXY}}}))
    printed = sandbox.transcript("doctor")
    assert FINDING in printed
    assert "→ if the bots need the proxy, write HTTPS_PROXY=… to .env; if not, make " in printed
    (sandbox.folder / ".env").write_text(f"HTTPS_PROXY={PROXY}\n")
    assert FINDING not in sandbox.transcript("doctor")


@pytest.mark.parametrize("content", ["", "{}", '{"proxies": {}}', "[", "[]", None])
def test_settings_without_proxies_are_no_finding(settings: Path, content: str | None) -> None:
    if content is not None:
        settings.write_text(content)
    assert probe_engine.proxies_file({"DOCKER_CONFIG": str(settings.parent)}) == ""
