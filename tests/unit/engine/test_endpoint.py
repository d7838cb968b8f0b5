"""Which engine is chosen, and that no other one is taken for it."""

from __future__ import annotations

import hashlib
import json
import os
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


@pytest.mark.parametrize("kind", ["folder", "FIFO", "link in a circle", "endless", "number"])
def test_what_is_no_file_in_its_place_chooses_no_engine_and_holds_nobody_up(folder: Path, kind: str) -> None:
    path = folder / "config.json"
    match kind:
        case "folder":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "link in a circle":
            path.symlink_to(path.name)
        case "endless":
            path.symlink_to("/dev/zero")
        case _:
            path.write_text('{"currentContext": 5}')
    with pytest.raises(EngineUnreachable, match=r"config.json is damaged"):
        chosen(folder)
    assert chosen(folder, DOCKER_CONTEXT="default") == LOCAL
    assert chosen(folder / "none") == LOCAL


def test_a_context_whose_file_is_a_pipe_is_refused(folder: Path) -> None:
    meta = next(folder.glob("contexts/meta/*/meta.json"))
    meta.unlink()
    os.mkfifo(meta)
    with pytest.raises(EngineUnreachable, match="the Docker context desk"):
        chosen(folder, DOCKER_CONTEXT="desk")


@pytest.mark.parametrize("variable", endpoint.TLS)
def test_tls_names_an_engine_of_its_own_as_for_the_docker_command(folder: Path, variable: str) -> None:
    with pytest.raises(EngineUnreachable, match=rf"tcp://localhost:2376 \({variable}\) is remote"):
        chosen(folder, **{variable: "1"})
    assert chosen(folder, **{variable: ""}) == LOCAL
    assert chosen(folder, **{variable: "1"}, DOCKER_HOST=LOCAL) == LOCAL
    assert chosen(folder, **{variable: "1"}, DOCKER_CONTEXT="desk") == "unix:///desk.sock"


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
