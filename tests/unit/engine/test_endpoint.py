"""Which engine is chosen, and that no other one is taken for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from manager.engine import endpoint
from manager.errors import EngineUnreachable

LOCAL = "unix:///var/run/docker.sock"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The docker command's own folder, with the context `desk`."""
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"desk").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "desk", "Endpoints": {"docker": {"Host": "unix:///desk.sock"}}}))
    return tmp_path


def chosen(folder: Path, **environ: str) -> str:
    return endpoint.local({"DOCKER_CONFIG": str(folder), **environ}).host


def test_the_variables_come_before_the_file_and_the_file_before_the_local_engine(folder: Path) -> None:
    assert chosen(folder) == LOCAL
    (folder / "config.json").write_text('{"currentContext": "desk"}')
    assert chosen(folder) == "unix:///desk.sock"
    assert chosen(folder, DOCKER_CONTEXT="default") == LOCAL
    assert chosen(folder, DOCKER_HOST="unix:///other.sock", DOCKER_CONTEXT="gone") == "unix:///other.sock"
    assert chosen(folder, DOCKER_HOST="", DOCKER_CONTEXT="") == "unix:///desk.sock"
    for content in ("", "\n", "{}", '{"currentContext": ""}', '{"currentContext": "default"}'):
        (folder / "config.json").write_text(content)
        assert chosen(folder) == LOCAL


@pytest.mark.parametrize("content", ['{"currentContext": "de', "[]", "null", "\0\0\0\0", '"desk"'])
def test_a_damaged_file_chooses_no_engine_and_a_variable_does(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(EngineUnreachable, match=r"config.json is damaged.*DOCKER_CONTEXT=default"):
        chosen(folder)
    assert chosen(folder, DOCKER_CONTEXT="default") == LOCAL
    assert chosen(folder, DOCKER_CONTEXT="desk") == "unix:///desk.sock"
    assert chosen(folder, DOCKER_HOST=LOCAL) == LOCAL


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"Endpoints": []}', '{"Endpoints": {"docker": {"Host": ""}}}']
)
def test_a_context_whose_files_are_damaged_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text('{"currentContext": "desk"}')
    next(folder.glob("contexts/meta/*/meta.json")).write_text(content)
    for environ in ({}, {"DOCKER_CONTEXT": "desk"}):
        with pytest.raises(EngineUnreachable, match="the Docker context desk"):
            chosen(folder, **environ)


@pytest.mark.parametrize(
    "host", ["ssh://trader@desk", "tcp://127.0.0.1:2375", "desk:2376", "fd://", "http+unix://x"]
)
def test_what_is_not_a_local_socket_is_refused_by_name(folder: Path, host: str) -> None:
    with pytest.raises(EngineUnreachable, match=r"\(DOCKER_HOST\) is remote"):
        chosen(folder, DOCKER_HOST=host)
