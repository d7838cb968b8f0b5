"""An HTTP server on 127.0.0.1 that takes what apprise's `json://` posts, and a `manager watch` beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests import forks
from tests.fleet import Project
from tests.forks import Fork

SECRETS = ("s3cret-user", "s3cret-word", "s3cret-path")


@dataclass
class Receiver:
    """What was posted. `status`: what it answers."""

    port: int = 0
    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        user, word, path = SECRETS
        return f"json://{user}:{word}@127.0.0.1:{self.port}/{path}"

    @property
    def texts(self) -> list[str]:
        """Each message, its first line and the rest."""
        return ["\n".join(filter(None, (post["title"], post["message"]))) for post in list(self.posts)]

    def text_with(self, *words: str) -> str | None:
        """The first message that has all these words."""
        return next((text for text in self.texts if all(word in text for word in words)), None)


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    """One that runs."""
    new_receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            post = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if new_receiver.status == 200:
                new_receiver.posts.append(post)
            self.send_response(new_receiver.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    new_receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield new_receiver
    finally:
        server.shutdown()
        server.server_close()


QUICK = """
[alerts]
urls = ["${ALERT_URL}"]
down_after = 1
unhealthy_after = 2
recovered_after = 1
message_interval = 1
engine_away_after = 1
disk_free_mb = 0
inodes_free_percent = 0
"""


def alerting(project: Project, receiver: Receiver, **changes: str) -> None:
    """Gives the project alerts that are said soon, to this receiver; `changes`: other keys of `[alerts]`."""
    keys = {**dict(line.split(" = ", 1) for line in QUICK.splitlines() if " = " in line), **changes}
    path = project.folder / "config" / "fleet.toml"
    text = path.read_text().partition("[alerts]")[0]
    path.write_text(text + "[alerts]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    (project.folder / ".env").write_text(f"ALERT_URL={receiver.url}\n")
    project.environ[forks.PYTHON] = forks.python(project.folder.parent, sends=True)


@dataclass
class Watching:
    """A `manager watch` that runs."""

    process: subprocess.Popen[bytes] | Fork
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    def end(self) -> int:
        """As a service manager ends it."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def watching(project: Project, *args: str) -> Iterator[Watching]:
    """`manager watch`, ended afterwards; what it printed holds no part of an address."""
    log = project.folder.parent / f"watch-{os.urandom(4).hex()}.log"
    process = project.begin("watch", *args, output=log)
    watch = Watching(process, log)
    try:
        yield watch
        if process.poll() is None:
            assert watch.end() == 0, watch.text
        assert "Traceback" not in watch.text
        assert not any(secret in watch.text for secret in SECRETS), watch.text
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
