"""`manager serve` listens where it may, and costs no other command anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import USAGE, ManagerError, UsageError
from manager.web import access, address, keeper
from manager.web.access import Access
from manager.web.options import Options, require_allowed
from tests.builders import a_config, write_config


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "example.org", "127.0.0.1.evil.example"]
)
def test_an_address_that_others_reach_is_refused_with_what_to_do(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(tmp_path, a_config())
    shown = f"[{host}]" if ":" in host else host
    for more in ([], ["--detach"]):
        assert main(["--project-dir", str(tmp_path), "serve", "--listen", f"{shown}:8800", *more]) == USAGE
        output = capsys.readouterr().err
        assert f"{host} can be reached from other machines, and needs TLS" in output
        assert "ssh -L" in output


WITH_PASSWORD = access.with_password(Access(), "operate", "a long password")
HERE = Path(__file__)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    require_allowed(Options((host, 1)), Access())
    with pytest.raises(UsageError):
        require_allowed(Options((f"x{host}", 1)), Access())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (Options(("0.0.0.0", 1), tls_cert=HERE), "belong together"),
        (Options(("0.0.0.0", 1), tls_key=HERE), "belong together"),
        (Options(("0.0.0.0", 1), tls_cert=HERE, tls_key=HERE.with_name("none")), "none: does not exist"),
        (Options(("0.0.0.0", 1), ("a",), HERE, HERE, ("10.0.0.1",)), "leave --tls-cert away"),
        (Options(("0.0.0.0", 1), behind_proxy=("10.0.0.1",)), "needs --name"),
        (Options(("0.0.0.0", 1), ("a",), behind_proxy=("nginx",)), "nginx: not an address"),
        (Options(("0.0.0.0", 1), ("a",), behind_proxy=("10.0.0.1/8",)), "not an address"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, why: str) -> None:
    with pytest.raises(ManagerError, match=why):
        require_allowed(options, WITH_PASSWORD)


@pytest.mark.parametrize(
    "options",
    [
        Options(("0.0.0.0", 1), tls_cert=HERE, tls_key=HERE),
        Options(("127.0.0.1", 1), ("fleet.example",), behind_proxy=("127.0.0.1",)),
    ],
)
def test_what_others_reach_needs_a_password(options: Options) -> None:
    require_allowed(options, WITH_PASSWORD)
    with pytest.raises(ManagerError, match="--set-password"):
        require_allowed(options, Access())


def test_a_chosen_port_that_is_taken_is_named() -> None:
    with keeper.listening(Options(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ManagerError, match=f"cannot listen on 127.0.0.1:{port}: .*--listen HOST:PORT"):
            keeper.listening(Options(("127.0.0.1", port)))


def test_options_are_a_command_line_again() -> None:
    options = Options(("::1", 9), ("a", "b"), HERE, HERE, ("10.0.0.0/8",))
    assert " ".join(options.words()) == (
        f"--listen [::1]:9 --name a --name b --tls-cert {HERE} --tls-key {HERE} --behind-proxy 10.0.0.0/8"
    )
    assert Options().words() == []


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (Options(), "http://127.0.0.1:8800"),
        (Options(("::1", 1)), "http://[::1]:8800"),
        (Options(("0.0.0.0", 1), ("fleet.example",), HERE, HERE), "https://fleet.example:8800"),
        (Options(None, ("fleet.example",), behind_proxy=("127.0.0.1",)), "https://fleet.example"),
    ],
)
def test_the_printed_address_is_the_browsers(options: Options, url: str) -> None:
    assert options.url(8800) == url


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:1", "localhost"),
        ("[::1]:8", "::1"),
        ("[::1]", "::1"),
        ("a:b:c", ""),
        ("localhost:1@a", ""),
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
heavy = ("fastapi", "uvicorn", "starlette", "manager.web.web_side.server", "manager.web.keeper")
print([module for module in heavy if module in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
