"""`manager serve` listens on this machine only, and costs no other command anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import USAGE, ManagerError, UsageError
from manager.web import address
from tests.builders import a_config, write_config


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "example.org", "127.0.0.1.evil.example"]
)
def test_an_address_that_others_reach_is_refused_with_what_to_do(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path, a_config())
    shown = f"[{host}]" if ":" in host else host
    assert main(["--project-dir", str(tmp_path), "serve", "--listen", f"{shown}:8800"]) == USAGE
    said = capsys.readouterr().err
    assert f"not on {host}" in said
    assert "ssh -L" in said


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    address.require_loopback(host, 1)
    with pytest.raises(UsageError):
        address.require_loopback(f"x{host}", 1)


def test_a_port_that_is_taken_is_named() -> None:
    with address.listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ManagerError, match=f"cannot listen on 127.0.0.1:{port}: .*--listen HOST:PORT"):
            address.listening("127.0.0.1", port)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:1", "localhost"),
        ("[::1]:8", "::1"),
        ("[::1]", "::1"),
        ("a:b:c", "a"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert address.name_of(header) == name


def test_no_other_command_loads_what_the_page_needs() -> None:
    program = """
import importlib, sys
from manager.cli.command_table import COMMANDS
for command in COMMANDS.values():
    importlib.import_module("manager.cli.commands." + command.function.partition(".")[0])
print([each for each in ("fastapi", "uvicorn", "starlette", "manager.web.server") if each in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
