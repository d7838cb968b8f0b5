"""The ports that tests get: nobody else's."""

from __future__ import annotations

import socket
import subprocess
import sys

from tests import ports
from tests.fleet import ROOT

OTHER = (
    "import sys\nfrom tests import ports\nfor _ in range(40): print(ports.reserve(20), "
    "flush=True)\nsys.stdin.read()"
)


def test_two_processes_share_none() -> None:
    command = [sys.executable, "-c", OTHER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = [int(other.stdout.readline()) for _ in range(40)]
        ours = [ports.reserve(20) for _ in range(40)]
        other.communicate()
    taken = [port for first in (*theirs, *ours) for port in range(first, first + 20)]
    assert len(taken) == len(set(taken)) == 1600


def test_none_is_listened_on_or_given_to_outgoing_connections() -> None:
    low, high = map(int, ports.OUTGOING.read_text().split())
    first = ports.reserve(20)
    assert not set(range(first, first + 20)) & set(range(low, high + 1))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert not ports.is_free(first)
    assert ports.is_free(first)
