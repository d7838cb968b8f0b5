"""`manager watch` beside bots that misbehave and an engine that is out of reach: what it says and what it
leaves alone.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from manager.engine.endpoint import DEFAULT_SOCKET
from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project, eventually
from tests.receiver import Receiver, alerting, watching

pytestmark = pytest.mark.engine

HOW = {"crashes": "crash", "sick": "well", "hungry": "well", "done": "done"}


def until_alert(receiver: Receiver, words: str) -> str:
    """The message that says it, when it has come."""
    return str(eventually(lambda: receiver.text_with(words), what=words))


def test_what_goes_wrong_inside_containers_is_said(project: Project, receiver: Receiver, note: Note) -> None:
    alerting(project, receiver)
    for port, (name, how) in enumerate(HOW.items()):
        few = {"max_restart_attempts": 1, "unhealthy_probes": 0, "memory_limit_mb": 64}
        bots.add(project, name, port, how, daemon_config=few)
    with watching(project):
        project.manager("up")
        bots.until(project, "running", "hungry", "sick")
        bots.tell(project, "hungry", "hog")
        bots.tell(project, "sick", "sick")
        for words in (
            "crashes failed: exit code 3 (given up after 1 restart in a row)",
            "sick is unhealthy: 503",
            "done has ended by itself",
            "hungry was killed: it exceeded its memory limit (64 MiB)",
        ):
            until_alert(receiver, words)
        project.manager("restart", "crashes", code=None)
        assert sum("crashes failed" in text for text in receiver.texts) == 1
    note(
        "bots crash, hang, end, are killed for memory under `watch`",
        "the fault bot's words",
        4,
        "one alert each, with its cause",
    )


def test_a_burst_is_one_message(project: Project, receiver: Receiver, is_long: bool, note: Note) -> None:
    count = 20 if is_long else 3
    names = [f"bot{number:02}" for number in range(count)]
    alerting(project, receiver)
    for port, name in enumerate(names):
        bots.add(project, name, port, daemon_config={"max_restart_attempts": 0})
    project.manager("up", "--wait")
    with watching(project) as watch:
        eventually(lambda: f"watching {count} instances" in watch.text, what="it watches")
        for name in names:
            bots.tell(project, name, "signal 9")
        text = eventually(lambda: receiver.text_with(f"{count} failed: "), what="one message")
        assert all(f"{name} failed: SIGKILL" in text for name in names)
        assert len(receiver.texts) == 1
    note("all bots are killed at once under `watch`", "SIGKILL of each bot", count, "one message names all")


@contextmanager
def a_proxy(path: Path, engine: Path) -> Iterator[None]:
    """Passes connections to `path` on to the engine's socket, as a socket proxy does; all of them break
    when it ends.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    ends: list[socket.socket] = [listener]

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(str(engine))
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        path.unlink()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_stop_while_the_engine_was_out_of_sight_is_a_persons_word(
    project: Project, receiver: Receiver, note: Note
) -> None:
    """The connection breaks and the engine does not: what is down afterwards was stopped by somebody."""
    alerting(project, receiver)
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    with TemporaryDirectory() as folder:  # a short path: sockets' names end at 107 bytes
        path = Path(folder, "proxy.sock")
        beside = Project(
            project.folder, project.name, 0, {**project.environ, "DOCKER_HOST": f"unix://{path}"}
        )
        with contextlib.ExitStack() as stack:
            with a_proxy(path, Path(DEFAULT_SOCKET)):
                watch = stack.enter_context(watching(beside))
                eventually(lambda: "watching 1 instance" in watch.text, what="it watches")
            project.docker("stop", project.container("one"))
            eventually(
                lambda: receiver.text_with("the Docker Engine does not answer"), what="the engine is missed"
            )
            with a_proxy(path, Path(DEFAULT_SOCKET)):
                until_alert(receiver, "one was stopped, but not by the manager")
                assert bots.pids(project, "one") == []
                assert watch.end() == 0
    note(
        "the way to the engine breaks under `watch`, and somebody stops a bot meanwhile",
        "a socket proxy ends",
        1,
        "the bot stays down, and it is said",
    )
