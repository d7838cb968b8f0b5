"""No short command imports a module or compiles an expression at work that its file does not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest

from manager.cli import standby
from manager.engine import labels
from manager.engine.http_socket import ApiError
from tests.builders import FLEET_NAME, a_config, write_config
from tests.fakes.bots import Bots
from tests.fakes.clock import Clock
from tests.fakes.engine import FakeEngine
from tests.fakes.slow_http import SlowHttp

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import os, re, sys
from importlib.machinery import SourceFileLoader
from re import _compiler
from manager.cli import code_bundle, entry_point, late_expressions

class Bundle(code_bundle.Bundle):
    def use(self):
        self.has = None
    def keep(self):
        later = code_bundle.LATER_OF.get(self._command, ())
        for name in (*code_bundle.LATER, *code_bundle.SELDOM, *later):
            __import__(name)
        self.has = {*sys.modules}
        late_expressions.of_this_process()
        _compiler.compile = noted(_compiler.compile)
        for name in "match fullmatch search sub subn split findall finditer escape".split():
            setattr(re, name, noted(getattr(re, name)))

uses = []

def noted(function):
    def use(*arguments, **options):
        uses.append(f"re.{function.__name__}({arguments[0]!r})")
        return function(*arguments, **options)
    return use

def end(code):
    kinds = {name: type(getattr(module, "__loader__", None)) for name, module in sys.modules.items()}
    late = [name for name in kinds if kinds[name] is SourceFileLoader and name not in code_bundle._bundle.has]
    print("CODE", code, *late, *uses, file=sys.stderr, flush=True)
    really(code)

code_bundle.Bundle = Bundle
really, os._exit = os._exit, end
entry_point()
"""
LOADED = """
import os, sys
from manager.cli import entry_point

sys.dont_write_bytecode = True  # nothing is loaded for later runs
really, os._exit = os._exit, lambda code: (print(*sys.modules, file=sys.stderr, flush=True), really(code))
entry_point()
"""
ID, OTHER = "bp_sol_01", "bp_eth_02"
IMAGE = "desk-bot:local"
COMMANDS = [
    *(["ps"], ["list"], ["status", ID], ["logs", "--tail", "100", ID], ["logs", ID], ["up"], ["up", ID]),
    *(["start", ID], ["restart", ID], ["ps", "--json"], ["status", ID, "--json"]),
]


class Front(ThreadingUnixStreamServer):
    """The fake engine at a socket."""

    daemon_threads = True

    def __init__(self, path: Path, fake: FakeEngine) -> None:
        super().__init__(str(path), Call)
        self.call = SlowHttp(fake, Clock(), 0.0, 1)


class Call(StreamRequestHandler):
    """One call; logs are empty."""

    def handle(self) -> None:
        method, target, _protocol = self.rfile.readline().decode().split()
        size = 0
        while line := self.rfile.readline().strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        body = json.loads(self.rfile.read(size)) if size else None
        parts = urlsplit(target)
        query = {
            name: json.loads(value) if name == "filters" else value for name, value in parse_qsl(parts.query)
        }
        assert isinstance(self.server, Front)
        status, content = 200, b""
        if not parts.path.endswith("/logs"):
            try:
                content = json.dumps(self.server.call("", method, parts.path, query, body)).encode()
            except ApiError as error:
                status, content = error.status, json.dumps({"message": error.why}).encode()
            except AssertionError as error:  # Compose asks for what the fake has not
                status, content = 404, json.dumps({"message": str(error)}).encode()
        self.wfile.write(b"HTTP/1.0 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(content)) + content)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of a fleet of two, with an engine."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "config").mkdir()
    (folder / "config" / "fleet.toml").write_text(f'name = "{FLEET_NAME}"\nimage = "{IMAGE}"\n')
    (folder / ".env").write_text("BACKPACK_KEY=k\nBACKPACK_SECRET=s\n")
    for instance in (ID, OTHER):
        write_config(folder, a_config(instance, None), instance)
    clock = Clock()
    fake = FakeEngine(Bots(clock), clock.time)
    fake.add_image(IMAGE, {labels.SUPERVISOR: str(labels.NEWEST_CONTRACT)})
    with Front(folder / "engine.sock", fake) as front:
        Thread(target=front.serve_forever, daemon=True).start()
        first = run(folder, "import os; from manager.cli import entry_point; entry_point()", "up")
        assert first.returncode == 0, first.stderr
        of_a_day = folder / "volumes" / "logs" / ID / "2026-01-31"
        of_a_day.mkdir(parents=True)
        (of_a_day / "bot_stdout.log").write_text("2026-01-31 08:00:00 placed\n")
        yield folder
        front.shutdown()


def run(project: Path, program: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the project's engine."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DOCKER", "TZ"))
    }
    return subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=project,
        env={
            **clean,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(project / "cache"),
            "DOCKER_HOST": f"unix://{project}/engine.sock",
        },
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_each_is_tried() -> None:
    assert {command for command, *_ in COMMANDS} == {*standby.OPTIONS_OF}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_is_imported_or_compiled_at_work_that_its_file_does_not_have(
    project: Path, command: list[str]
) -> None:
    done = run(project, PROGRAM, *command)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("CODE "), done.stderr
    assert last.split()[2:] == []


def test_logs_of_one_read_neither_its_config_nor_the_fleets_state(project: Path) -> None:
    """Its container's labels tell where the files are; all else is most of the work."""
    assert run(project, LOADED, "ps").returncode == 0
    done = run(project, LOADED, "logs", "--tail", "100", ID)
    assert (done.returncode, done.stdout) == (0, "2026-01-31 08:00:00 placed\n")
    spared = {"manager.fleet.project", "manager.config.spec", "manager.config.dotenv", "datetime"}
    assert spared.isdisjoint(done.stderr.split())
    for more in (["--config", f"config/active/{ID}.json"], [ID, "nobody"]):
        assert spared < {*run(project, LOADED, "logs", "--tail", "100", *more).stderr.split(), "datetime"}
